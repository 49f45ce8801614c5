// The other side of upstash.hpp: what a client of that protocol sends, and how it reads the
// answers.
//
// Answers are asked for in base64, so that bytes which are no text come through. Towards the server
// only a path and its body carry bytes; a command with such an argument goes that way, alone.
//
// Threads: pure functions and plain objects.
#pragma once

#include "wire/resp.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::wire::upstash {

using Arguments = std::span<const std::string_view>;

// Whether JSON can carry it.
bool is_text(Arguments arguments);
void append_command(std::string& out, Arguments arguments);  // ["SET","k","v"]

// The path of a command, "/SET/k", whose last argument is the body. Empty when no path can say it:
// an empty last argument, or a name that is a path of the protocol.
std::string path_of(Arguments arguments);

// {"result":...} or {"error":"..."}: an error is a Value of that kind. Strings are base64 but for
// OK. Empty when the text is something else.
std::optional<resp::Value> read_reply(std::string_view text);
// An array of those.
std::optional<std::vector<resp::Value>> read_replies(std::string_view text);

// Events out of a stream of bytes, by the rules of event streams: lines of data are joined, other
// fields are passed over. Comments mean nothing to the rules; a service may say things in them.
class EventReader {
 public:
  explicit EventReader(std::size_t event_max) : event_max_(event_max) {}

  // Takes all of `bytes` and calls `on_event` with the data of each event that is complete, and
  // `on_comment` with what each comment says. False: a line or event is over the limit.
  template <class OnEvent, class OnComment>
  bool feed(std::string_view bytes, OnEvent on_event, OnComment on_comment) {
    buffer_ += bytes;
    std::size_t begin = 0;
    for (std::size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(buffer_).substr(begin, end - begin);
      if (line.starts_with(':')) on_comment(comment_of(line));
      if (take_line(line)) {
        on_event(std::string_view(data_));
        data_.clear();
        has_data_ = false;
      }
    }
    buffer_.erase(0, begin);
    return buffer_.size() <= event_max_ && data_.size() <= event_max_;
  }
  template <class OnEvent>
  bool feed(std::string_view bytes, OnEvent on_event) {
    return feed(bytes, std::move(on_event), [](std::string_view) {});
  }

 private:
  bool take_line(std::string_view line);  // True: an event is complete.
  static std::string_view comment_of(std::string_view line);

  std::size_t event_max_;
  std::string buffer_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace redoubt::wire::upstash
