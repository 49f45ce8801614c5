#include "base/bytes.hpp"
#include "wire/http1.hpp"
#include "wire/json_text.hpp"
#include "wire/upstash.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::wire::upstash {
namespace {

using Outcome = std::expected<void, std::string>;

std::unexpected<std::string> wrong(std::string text) {
  return std::unexpected("ERR " + std::move(text));
}

constexpr std::string_view kTooLarge = "max request size exceeded";

// Reads commands and keeps their arguments as text. Decoded text is never longer than its source,
// so that one buffer of the body's size holds all of it.
class Reader {
 public:
  Reader(std::string_view body, const Limits& limits, Request& out)
      : json_(body), limits_(limits), out_(out), size_(body.size()) {}

  Outcome command() {
    if (!json_.take('[')) return wrong("failed to parse command: a JSON array is expected");
    if (auto read = arguments(); !read) return read;
    return end();
  }

  Outcome commands() {
    constexpr const char* kExpected =
        "failed to parse pipeline: a JSON array of arrays is expected";
    if (!json_.take('[')) return wrong(kExpected);
    if (json_.take(']')) return wrong("empty pipeline request");
    do {
      if (!json_.take('[')) return wrong(kExpected);
      if (out_.size() == limits_.commands) {
        return wrong(fmt::format("too many commands in a pipeline ({})", limits_.commands));
      }
      if (auto read = arguments(); !read) return read;
    } while (json_.take(','));
    if (!json_.take(']')) return malformed();
    return end();
  }

 private:
  // After '['.
  Outcome arguments() {
    if (json_.take(']')) return wrong("empty command");
    do {
      if (out_.all_arguments() == limits_.arguments) return wrong(std::string(kTooLarge));
      if (!argument()) return malformed();
    } while (json_.take(','));
    if (!json_.take(']')) return malformed();
    out_.end_command();
    return {};
  }

  bool argument() {
    switch (json_.peek()) {
      case '"':
        return string();
      case '[':
      case '{':
        return nested();
      case 'n':
        return word("null", "");
      case 't':
        return word("true", "true");
      case 'f':
        return word("false", "false");
      default:
        return number();
    }
  }

  bool word(std::string_view spelled, std::string_view meant) {
    if (!json_.take_word(spelled)) return false;
    out_.add_argument(meant);
    return true;
  }

  bool number() {
    std::string_view text;
    if (!json_.number(text)) return false;
    out_.add_argument(text);
    return true;
  }

  bool string() {
    std::string_view plain;
    if (json_.plain_string(plain)) {
      out_.add_argument(plain);
      return true;
    }
    return decoded([this](std::string& text) { return json_.decode_string(text); });
  }

  // An array or object, as its text.
  bool nested() {
    return decoded([this](std::string& text) { return json_.copy_value(text, limits_.depth); });
  }

  template <class Decode>
  bool decoded(Decode decode) {
    if (text_ == nullptr) text_ = &out_.room_for(size_);
    const std::size_t begin = text_->size();
    if (!decode(*text_)) return false;
    out_.add_argument(std::string_view(*text_).substr(begin));
    return true;
  }

  Outcome end() {
    if (!json_.at_end()) return malformed();
    return {};
  }
  static Outcome malformed() { return wrong("failed to parse the body: it is not valid JSON"); }

  JsonText json_;
  const Limits& limits_;
  Request& out_;
  std::size_t size_;
  std::string* text_ = nullptr;
};

// Percent-decoded; a view of the source when there is nothing to decode.
std::optional<std::string_view> decode(std::string_view text, bool plus_is_space,
                                       std::string& room) {
  const bool plain = text.find('%') == std::string_view::npos &&
                     (!plus_is_space || text.find('+') == std::string_view::npos);
  if (plain) return text;
  const auto decoded = percent_decode(text, plus_is_space);
  if (!decoded) return std::nullopt;
  const std::size_t begin = room.size();
  room += *decoded;
  return std::string_view(room).substr(begin);
}

Outcome read_segments(std::string_view path, std::string& room, Request& out) {
  for (;;) {
    const std::size_t slash = path.find('/');
    const auto segment = decode(path.substr(0, slash), false, room);
    if (!segment) return wrong("a bad percent-escape in the path");
    out.add_argument(*segment);
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

Outcome read_query(std::string_view query, std::string& room, Request& out) {
  while (!query.empty()) {
    const std::size_t amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    query.remove_prefix(amp == std::string_view::npos ? query.size() : amp + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const auto name = decode(pair.substr(0, equals), true, room);
    if (!name) return wrong("a bad percent-escape in the query");
    if (*name == "_token") continue;
    out.add_argument(*name);
    if (equals == std::string_view::npos || equals + 1 == pair.size()) continue;
    const auto value = decode(pair.substr(equals + 1), true, room);
    if (!value) return wrong("a bad percent-escape in the query");
    out.add_argument(*value);
  }
  return {};
}

Outcome read_path(std::string_view path, std::string_view query, std::string_view body,
                  const Limits& limits, Request& out) {
  const auto count = static_cast<std::size_t>(std::ranges::count(path, '/')) + 3 +
                     2 * static_cast<std::size_t>(std::ranges::count(query, '&'));
  if (count > limits.arguments) return wrong(std::string(kTooLarge));
  std::string& room = out.room_for(path.size() + query.size());
  if (auto read = read_segments(path, room, out); !read) return read;
  const std::string_view name = out.command_in_progress();
  if (name.empty()) return wrong("empty command");
  if (ascii_iequals(name, "subscribe")) out.kind = Kind::subscribe;
  if (ascii_iequals(name, "psubscribe")) out.kind = Kind::psubscribe;
  if (ascii_iequals(name, "monitor")) out.kind = Kind::monitor;
  if (out.kind == Kind::command) {
    if (!body.empty()) out.add_argument(body);
    if (auto read = read_query(query, room, out); !read) return read;
  }
  out.end_command();
  return {};
}

Outcome read_body(Kind kind, std::string_view body, const Limits& limits, Request& out) {
  if (body.empty()) return wrong("empty command");
  if (!is_utf8(body)) return wrong("failed to parse the body: it is not valid UTF-8");
  out.kind = kind;
  Reader reader(body, limits, out);
  return kind == Kind::command ? reader.command() : reader.commands();
}

}  // namespace

std::span<const std::string_view> Request::command(std::size_t index) const {
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return std::span(arguments_).subspan(begin, ends_[index] - begin);
}

void Request::clear() {
  kind = Kind::command;
  arguments_.clear();
  ends_.clear();
  decoded_.clear();
}

std::string& Request::room_for(std::size_t size) {
  decoded_.reserve(size);
  return decoded_;
}

Outcome read_request(std::string_view path, std::string_view query, std::string_view body,
                     const Limits& limits, Request& out) {
  out.clear();
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return read_body(Kind::command, body, limits, out);
  if (path == "pipeline") return read_body(Kind::pipeline, body, limits, out);
  if (path == "multi-exec") return read_body(Kind::transaction, body, limits, out);
  return read_path(path, query, body, limits, out);
}

std::optional<std::string> token_in_query(std::string_view query) {
  while (!query.empty()) {
    const std::size_t amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    if (pair.starts_with("_token=")) return percent_decode(pair.substr(7), true);
    if (amp == std::string_view::npos) break;
    query.remove_prefix(amp + 1);
  }
  return std::nullopt;
}

std::expected<Format, std::string> read_format(std::string_view encoding,
                                               std::string_view response_format, Kind kind) {
  const bool base64 = ascii_iequals(encoding, "base64");
  if (response_format.empty() || ascii_iequals(response_format, "json")) {
    return base64 ? Format::base64 : Format::json;
  }
  if (!ascii_iequals(response_format, "resp2")) {
    return wrong("unknown response format: json and resp2 are known");
  }
  if (base64) return wrong("the response format resp2 cannot be encoded as base64");
  if (kind == Kind::transaction) return wrong("the response format resp2 is not for /multi-exec");
  return Format::resp2;
}

std::string_view content_type(Format format) {
  return format == Format::resp2 ? "application/octet-stream" : "application/json";
}

}  // namespace redoubt::wire::upstash
