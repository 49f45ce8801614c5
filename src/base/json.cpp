#include "base/json.hpp"

#include "base/append.hpp"
#include "base/bytes.hpp"

#include <boost/json/array.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value_stack.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

namespace redoubt {
namespace {

using ErrorCode = boost::system::error_code;

constexpr std::int64_t kExactIntegerMax = std::int64_t{1} << 53;

// The keys of the objects that are open, end to end in one buffer.
class OpenKeys {
 public:
  void add_part(std::string_view part) { bytes_ += part; }
  void finish_key() { ends_.push_back(bytes_.size()); }

  // Removes the last `count` keys; true when two of them were equal. Sorting and not hashing, so
  // that no choice of keys makes it slow.
  bool close_object_has_duplicate(std::size_t count) {
    if (count == 0) return false;
    const std::size_t first = ends_.size() - count;
    const std::size_t begin = first == 0 ? 0 : ends_[first - 1];
    std::size_t from = begin;
    sorted_.clear();
    for (std::size_t i = first; i < ends_.size(); from = ends_[i++]) {
      sorted_.push_back(std::string_view(bytes_).substr(from, ends_[i] - from));
    }
    std::ranges::sort(sorted_);
    const bool duplicate = std::ranges::adjacent_find(sorted_) != sorted_.end();
    bytes_.resize(begin);
    ends_.resize(first);
    return duplicate;
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
  std::vector<std::string_view> sorted_;
};

// What basic_parser calls. A refusal of ours sets `reason` and any error code; the parser then
// stops.
class Handler {
 public:
  static constexpr std::size_t max_object_size = kJsonMembersMax;
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  Handler() : stack_({}, buffer_, sizeof buffer_) { stack_.reset(); }

  json::value release() { return stack_.release(); }
  const char* reason() const { return reason_; }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode&) { return true; }
  bool on_array_begin(ErrorCode&) { return true; }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }

  bool on_object_end(std::size_t n, ErrorCode& ec) {
    if (keys_.close_object_has_duplicate(n)) return refuse(ec, "a key occurs twice in one object");
    stack_.push_object(n);
    return true;
  }
  bool on_array_end(std::size_t n, ErrorCode&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, ErrorCode&) {
    keys_.add_part({part.data(), part.size()});
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, ErrorCode&) {
    keys_.add_part({part.data(), part.size()});
    keys_.finish_key();
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, ErrorCode&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, ErrorCode&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view part, ErrorCode&) {
    number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view, ErrorCode& ec) {
    number_.clear();
    if (value > kExactIntegerMax || value < -kExactIntegerMax) return refuse_integer(ec);
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t, json::string_view, ErrorCode& ec) { return refuse_integer(ec); }

  // The parser's own double may be off by an ulp or two; the text is converted again, exactly.
  bool on_double(double, json::string_view part, ErrorCode& ec) {
    number_.append(part.data(), part.size());
    const std::string text = std::exchange(number_, {});
    if (text.find_first_of(".eE") == std::string::npos) return refuse_integer(ec);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
      return refuse(ec, "a number is out of the range of a double");
    }
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, ErrorCode&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(ErrorCode&) {
    stack_.push_null();
    return true;
  }

 private:
  bool refuse(ErrorCode& ec, const char* reason) {
    reason_ = reason;
    ec = json::error::syntax;
    return false;
  }
  bool refuse_integer(ErrorCode& ec) {
    return refuse(ec, "an integer beyond 2^53 loses digits; send it as a string");
  }

  unsigned char buffer_[2048];  // A small text is read without an allocation for the stack.
  json::value_stack stack_;
  OpenKeys keys_;
  std::string number_;
  const char* reason_ = nullptr;
};

Unexpected invalid(std::size_t offset, std::string_view reason) {
  return fail(Error(Errc::invalid_argument, "json_invalid",
                    fmt::format("invalid JSON at byte {}: {}", offset, reason)));
}

std::string reason_of(const ErrorCode& ec) {
  if (ec == json::error::too_deep) return fmt::format("nested deeper than {}", kJsonDepthMax);
  if (ec == json::error::object_too_large) {
    return fmt::format("an object has more than {} members", kJsonMembersMax);
  }
  if (ec == json::error::exponent_overflow) return "a number is out of the range of a double";
  if (ec == json::error::incomplete) return "the text ends too early";
  return ec.message();
}

// 0: as it is. 'u': \u00XX. Otherwise the letter behind the backslash.
constexpr std::array<char, 256> escape_table() {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < 0x20; ++i) table[i] = 'u';
  table['"'] = '"';
  table['\\'] = '\\';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  for (std::size_t i = 0x80; i < 0x100; ++i) table[i] = 'm';  // Part of a multi-byte character.
  return table;
}

constexpr std::array<char, 256> kEscapes = escape_table();
// True when none of the eight bytes at `p` needs a look: no control character, quote, backslash or
// part of a multi-byte character. A subtraction sets the high bit of the first byte that is too
// small.
bool eight_plain_bytes(const char* p) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  const std::uint64_t control = word - kOnes * 0x20;
  const std::uint64_t quote = (word ^ kOnes * '"') - kOnes;
  const std::uint64_t backslash = (word ^ kOnes * '\\') - kOnes;
  return ((word | control | quote | backslash) & kOnes * 0x80) == 0;
}

// Copies `text` to `to` as far as it needs no escape; how far that is.
std::size_t copy_plain(char* to, std::string_view text) {
  std::size_t i = 0;
  while (text.size() - i >= 8 && eight_plain_bytes(text.data() + i)) {
    std::memcpy(to + i, text.data() + i, 8);
    i += 8;
  }
  for (; i < text.size() && kEscapes[static_cast<std::uint8_t>(text[i])] == 0; ++i) to[i] = text[i];
  return i;
}

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void append_escape(std::string& out, char c, char escape) {
  out += '\\';
  out += escape;
  if (escape != 'u') return;
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "00";
  out += kDigits[static_cast<std::uint8_t>(c) >> 4];
  out += kDigits[static_cast<std::uint8_t>(c) & 15];
}

// The shortest text that reads back as the same double, and as a double: "1.0", not "1".
void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.data()));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_array(std::string& out, const json::array& array) {
  char separator = '[';
  for (const json::value& element : array) {
    out += separator;
    append_json(out, element);
    separator = ',';
  }
  out += array.empty() ? "[]" : "]";
}

void append_object(std::string& out, const json::object& object) {
  char separator = '{';
  for (const json::key_value_pair& member : object) {
    out += separator;
    append_json_string(out, {member.key().data(), member.key().size()});
    out += ':';
    append_json(out, member.value());
    separator = ',';
  }
  out += object.empty() ? "{}" : "}";
}

}  // namespace

Result<json::value> parse_json(std::string_view text, std::size_t bytes_max) {
  const std::size_t limit = std::min(bytes_max, kJsonBytesMax);
  if (text.size() > limit) return invalid(limit, fmt::format("longer than {} bytes", limit));
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  json::basic_parser<Handler> parser(options);
  ErrorCode ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec) {
    const char* reason = parser.handler().reason();
    return invalid(used, reason != nullptr ? std::string(reason) : reason_of(ec));
  }
  if (used < text.size()) return invalid(used, "text after the end of the value");
  return parser.handler().release();
}

std::string to_json(const json::value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

void append_json(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      append_int(out, value.get_int64());
      break;
    case json::kind::uint64:
      out += fmt::format_int(value.get_uint64()).c_str();
      break;
    case json::kind::double_:
      append_double(out, value.get_double());
      break;
    case json::kind::string: {
      const json::string& text = value.get_string();
      append_json_string(out, {text.data(), text.size()});
      break;
    }
    case json::kind::array:
      append_array(out, value.get_array());
      break;
    case json::kind::object:
      append_object(out, value.get_object());
      break;
  }
}

void append_json_string(std::string& out, std::string_view text) {
  // Most texts are plain: checked while they are copied, in one growth of the buffer.
  const std::size_t before = out.size();
  std::size_t run = 0;  // Where the bytes not yet appended begin.
  // libstdc++ 12 passes the capacity instead of the size, so the size comes from here.
  out.resize_and_overwrite(before + text.size() + 2, [&](char* data, std::size_t) {
    char* const begin = data + before;
    *begin = '"';
    run = copy_plain(begin + 1, text);
    begin[1 + run] = '"';
    return before + 1 + run + (run == text.size() ? 1 : 0);
  });
  if (run == text.size()) return;

  std::size_t i = run;
  while (i < text.size()) {
    if (text.size() - i >= 8 && eight_plain_bytes(text.data() + i)) {
      i += 8;
      continue;
    }
    const char escape = kEscapes[static_cast<std::uint8_t>(text[i])];
    if (escape == 0) {
      ++i;
      continue;
    }
    if (escape == 'm') {
      const std::size_t length = utf8_sequence(text.substr(i));
      if (length > 0) {
        i += length;
        continue;
      }
    }
    out.append(text, run, i - run);
    if (escape == 'm') {
      out += kReplacement;
    } else {
      append_escape(out, text[i], escape);
    }
    run = ++i;
  }
  out.append(text, run, i - run);
  out += '"';
}

char* put_plain_json_string(char* to, std::string_view text) {
  *to++ = '"';
  if (copy_plain(to, text) != text.size()) return nullptr;
  to += text.size();
  *to++ = '"';
  return to;
}

void append_int(std::string& out, std::int64_t value) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

void merge_patch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object(target.storage());
  json::object& members = target.get_object();
  for (const json::key_value_pair& change : patch.get_object()) {
    if (change.value().is_null()) {
      members.erase(change.key());
    } else {
      merge_patch(members[change.key()], change.value());
    }
  }
}

}  // namespace redoubt
