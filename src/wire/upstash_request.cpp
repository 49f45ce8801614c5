#include "base/bytes.hpp"
#include "wire/http1.hpp"
#include "wire/upstash.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace redoubt::wire::upstash {
namespace {

using Outcome = std::expected<void, std::string>;

std::unexpected<std::string> wrong(std::string text) {
  return std::unexpected("ERR " + std::move(text));
}

constexpr std::string_view kTooLarge = "max request size exceeded";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// A reader of RFC 8259 that keeps what it reads as text. Decoded text is never longer than its
// source, so that one buffer of the body's size holds all of it.
class Reader {
 public:
  Reader(std::string_view body, const Limits& limits, Request& out)
      : at_(body.data()), end_(at_ + body.size()), limits_(limits), out_(out), size_(body.size()) {}

  Outcome command() {
    if (!take('[')) return wrong("failed to parse command: a JSON array is expected");
    if (auto read = arguments(); !read) return read;
    return end();
  }

  Outcome commands() {
    if (!take('[')) return wrong("failed to parse pipeline: a JSON array of arrays is expected");
    if (take(']')) return wrong("empty pipeline request");
    do {
      if (!take('[')) return wrong("failed to parse pipeline: a JSON array of arrays is expected");
      if (out_.size() == limits_.commands) return wrong(std::string(kTooLarge));
      if (auto read = arguments(); !read) return read;
    } while (take(','));
    if (!take(']')) return malformed();
    return end();
  }

 private:
  // After '['.
  Outcome arguments() {
    if (take(']')) return wrong("empty command");
    do {
      if (out_.all_arguments() == limits_.arguments) return wrong(std::string(kTooLarge));
      if (auto read = argument(); !read) return read;
    } while (take(','));
    if (!take(']')) return malformed();
    out_.end_command();
    return {};
  }

  Outcome argument() {
    skip_spaces();
    if (at_ == end_) return malformed();
    switch (*at_) {
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

  Outcome word(std::string_view spelled, std::string_view meant) {
    if (!rest().starts_with(spelled)) return malformed();
    at_ += spelled.size();
    out_.add_argument(meant);
    return {};
  }

  Outcome number() {
    const char* start = at_;
    if (!skip_number()) return malformed();
    out_.add_argument({start, at_});
    return {};
  }

  Outcome string() {
    const char* start = ++at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\') {
      if (static_cast<unsigned char>(*at_) < 0x20) return malformed();
      ++at_;
    }
    if (at_ == end_) return malformed();
    if (*at_ == '"') {
      out_.add_argument({start, at_++});
      return {};
    }
    std::string& text = decoded();
    const std::size_t begin = text.size();
    text.append(start, at_);
    if (!decode_string(text)) return malformed();
    out_.add_argument(std::string_view(text).substr(begin));
    return {};
  }

  // From a backslash to the closing quote.
  bool decode_string(std::string& text) {
    while (at_ != end_ && *at_ != '"') {
      if (static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ != '\\') {
        text += *at_++;
      } else if (!decode_escape(text)) {
        return false;
      }
    }
    if (at_ == end_) return false;
    ++at_;
    return true;
  }

  bool decode_escape(std::string& text) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (++at_ == end_) return false;
    const char name = *at_++;
    if (name == 'u') return decode_unicode(text);
    const std::size_t i = kNames.find(name);
    if (i == std::string_view::npos) return false;
    text += kMeanings[i];
    return true;
  }

  bool decode_unicode(std::string& text) {
    std::uint32_t code = 0;
    if (!four_digits(code)) return false;
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (high && rest().starts_with("\\u")) {
      const char* back = at_;
      at_ += 2;
      std::uint32_t low = 0;
      if (!four_digits(low)) return false;
      if (low >= 0xDC00 && low < 0xE000) {
        append_utf8(text, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
        return true;
      }
      at_ = back;
    }
    const bool lone = code >= 0xD800 && code < 0xE000;
    append_utf8(text, lone ? 0xFFFD : code);
    return true;
  }

  bool four_digits(std::uint32_t& code) {
    if (end_ - at_ < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_digit(*at_++);
      if (digit < 0) return false;
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    return true;
  }

  // An array or object, as its text without the white space between tokens.
  Outcome nested() {
    std::string& text = decoded();
    const std::size_t begin = text.size();
    if (!copy_value(text, 2)) return malformed();
    out_.add_argument(std::string_view(text).substr(begin));
    return {};
  }

  bool copy_value(std::string& text, std::size_t depth) {
    skip_spaces();
    if (at_ == end_ || depth > limits_.depth) return false;
    if (*at_ == '[') return copy_items(text, depth, ']', false);
    if (*at_ == '{') return copy_items(text, depth, '}', true);
    const char* start = at_;
    const bool good = *at_ == '"' ? skip_string() : skip_word() || skip_number();
    text.append(start, at_);
    return good;
  }

  bool copy_items(std::string& text, std::size_t depth, char close, bool members) {
    text += *at_++;
    if (take(close)) return text += close, true;
    for (;;) {
      if (members && !copy_name(text)) return false;
      if (!copy_value(text, depth + 1)) return false;
      if (take(close)) return text += close, true;
      if (!take(',')) return false;
      text += ',';
    }
  }

  bool copy_name(std::string& text) {
    skip_spaces();
    const char* start = at_;
    if (at_ == end_ || *at_ != '"' || !skip_string()) return false;
    text.append(start, at_);
    if (!take(':')) return false;
    text += ':';
    return true;
  }

  bool skip_string() {
    ++at_;
    while (at_ != end_ && *at_ != '"') {
      if (static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ == '\\') {
        scratch_.clear();
        if (!decode_escape(scratch_)) return false;
      } else {
        ++at_;
      }
    }
    if (at_ == end_) return false;
    ++at_;
    return true;
  }

  bool skip_word() {
    for (const std::string_view known : {"true", "false", "null"}) {
      if (!rest().starts_with(known)) continue;
      at_ += known.size();
      return true;
    }
    return false;
  }

  bool skip_number() {
    const auto digits = [this] {
      const char* start = at_;
      while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
      return at_ != start;
    };
    if (at_ != end_ && *at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0') {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  void skip_spaces() {
    while (at_ != end_ && is_space(*at_)) ++at_;
  }
  bool take(char c) {
    skip_spaces();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  Outcome end() {
    skip_spaces();
    if (at_ != end_) return malformed();
    return {};
  }
  std::string_view rest() const { return {at_, end_}; }
  std::string& decoded() {
    if (text_ == nullptr) text_ = &out_.room_for(size_);
    return *text_;
  }
  static Outcome malformed() { return wrong("failed to parse the body: it is not valid JSON"); }

  const char* at_;
  const char* end_;
  const Limits& limits_;
  Request& out_;
  std::size_t size_;
  std::string* text_ = nullptr;
  std::string scratch_;
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
