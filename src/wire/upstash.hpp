// The REST protocol of Upstash for Redis, without I/O: requests to commands, replies to JSON,
// base64 or RESP2, and the frames of its event streams.
//
//   GET  /set/foo/bar?EX=100         SET foo bar EX 100; every segment percent-decoded
//   POST /set/foo?EX=100   body bar  the same: the body is the last argument, the query follows it
//   POST /                 body ["SET","foo","bar","EX",100]
//   POST /pipeline         body [["SET","foo","bar"],["GET","foo"]]
//   POST /multi-exec       the same body, as one transaction
//   POST /subscribe/ch1/ch2, /psubscribe/pattern, /monitor   a stream of events; any body is
//   ignored
//
// An element of a JSON command is a string, a number (its digits as sent), true or false (those
// words), null (empty), or an array or object (its text without white space). Lone surrogates
// become U+FFFD; a body that is not UTF-8 is refused: bytes go in a path or as the body of a path.
//
// Source: the documentation of Upstash (restapi, 2026-08) and the behaviour of its clients.
// Threads: pure functions. Nothing is copied that need not be: the arguments of a request point
// into what it was read from.
#pragma once

#include "wire/resp.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::wire::upstash {

enum class Kind : std::uint8_t { command, pipeline, transaction, subscribe, psubscribe, monitor };

struct Limits {
  std::size_t commands = 10'000;      // Of a pipeline or transaction.
  std::size_t arguments = 1'000'000;  // Of a request.
  std::size_t depth = 64;             // Of arrays and objects.
};

// The commands of a request; for subscribe and psubscribe, one whose arguments are the names.
class Request {
 public:
  Request() = default;
  Request(const Request&) = delete;  // Its arguments may point into it.
  Request& operator=(const Request&) = delete;

  Kind kind = Kind::command;

  std::size_t size() const { return ends_.size(); }
  std::span<const std::string_view> command(std::size_t index) const;

  void clear();
  // How a command is made: its arguments, then its end. Their text must outlive the request.
  void add_argument(std::string_view text) {
    if (arguments_.capacity() == 0) arguments_.reserve(kRoom);
    arguments_.push_back(text);
  }
  void end_command() { ends_.push_back(arguments_.size()); }
  // The first argument of the command that is being made.
  std::string_view command_in_progress() const {
    return arguments_[ends_.empty() ? 0 : ends_.back()];
  }
  std::size_t all_arguments() const { return arguments_.size(); }
  // Room for `size` decoded bytes, which stay where they are until clear().
  std::string& room_for(std::size_t size);

 private:
  static constexpr std::size_t kRoom = 8;  // Most commands fit, and need one allocation.

  std::vector<std::string_view> arguments_;
  std::vector<std::size_t> ends_;
  std::string decoded_;
};

// `path` is what follows the base of the face, still encoded: "/set/foo", "", "/". `query` without
// '?'. All three outlive `out`. The error is what to answer, with status 400.
std::expected<void, std::string> read_request(std::string_view path, std::string_view query,
                                              std::string_view body, const Limits& limits,
                                              Request& out);

// The value of `_token` in a query, decoded.
std::optional<std::string> token_in_query(std::string_view query);

enum class Format : std::uint8_t { json, base64, resp2 };

// What the fields Upstash-Encoding and Upstash-Response-Format ask for.
std::expected<Format, std::string> read_format(std::string_view encoding,
                                               std::string_view response_format, Kind kind);
std::string_view content_type(Format format);

// Maps, sets and doubles as RESP2 has them. `pairs`: an array of pairs becomes flat. `streams`: a
// map becomes an array of pairs. See CommandFlag::pairs and KeyRule::streams.
resp::Value as_resp2(resp::Value value, bool pairs, bool streams);

// {"result":...} or {"error":"..."}, or the bytes of RESP2.
void append_reply(std::string& out, const resp::Value& value, Format format);
// The body around several replies. REQUIRES for resp2: as many replies follow.
void begin_replies(std::string& out, std::size_t count, Format format);
void separate_replies(std::string& out, Format format);
void end_replies(std::string& out, Format format);

void append_error(std::string& out, std::string_view text);  // {"error":"..."}
// The shortest text that reads back as the same double: "0.1", "100000", "1e+20", "inf".
void append_real(std::string& out, double value);

// One event of a stream, "data: <text>" and an empty line. A text of several lines is several data
// lines, as the rules of event streams have it; only the first begins with "data: ", so that a
// client which reads line by line takes no payload for an event.
void append_event(std::string& out, std::string_view text);

}  // namespace redoubt::wire::upstash
