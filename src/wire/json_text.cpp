#include "wire/json_text.hpp"

#include <cstdint>

namespace redoubt::wire {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
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

}  // namespace

void JsonText::skip_spaces() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
}

bool JsonText::take(char c) {
  if (peek() != c || at_ == end_) return false;
  ++at_;
  return true;
}

bool JsonText::at_end() {
  skip_spaces();
  return at_ == end_;
}

char JsonText::peek() {
  skip_spaces();
  return at_ == end_ ? '\0' : *at_;
}

bool JsonText::take_word(std::string_view word) {
  if (!rest().starts_with(word)) return false;
  at_ += word.size();
  return true;
}

bool JsonText::plain_string(std::string_view& out) {
  const char* start = at_ + 1;
  const char* p = start;
  while (p != end_ && *p != '"' && *p != '\\' && !is_control(*p)) ++p;
  if (p == end_ || *p != '"') return false;
  out = {start, p};
  at_ = p + 1;
  return true;
}

bool JsonText::decode_string(std::string& out) {
  if (at_ == end_ || *at_ != '"') return false;
  ++at_;
  while (at_ != end_ && *at_ != '"') {
    if (is_control(*at_)) return false;
    if (*at_ != '\\') {
      out += *at_++;
    } else if (!decode_escape(out)) {
      return false;
    }
  }
  if (at_ == end_) return false;
  ++at_;
  return true;
}

bool JsonText::decode_escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (++at_ == end_) return false;
  const char name = *at_++;
  if (name == 'u') return decode_unicode(out);
  const std::size_t i = kNames.find(name);
  if (i == std::string_view::npos) return false;
  out += kMeanings[i];
  return true;
}

bool JsonText::decode_unicode(std::string& out) {
  unsigned code = 0;
  if (!four_digits(code)) return false;
  const bool high = code >= 0xD800 && code < 0xDC00;
  if (high && rest().starts_with("\\u")) {
    const char* back = at_;
    at_ += 2;
    unsigned low = 0;
    if (!four_digits(low)) return false;
    if (low >= 0xDC00 && low < 0xE000) {
      append_utf8(out, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
      return true;
    }
    at_ = back;
  }
  const bool lone = code >= 0xD800 && code < 0xE000;
  append_utf8(out, lone ? 0xFFFD : code);
  return true;
}

bool JsonText::four_digits(unsigned& code) {
  if (end_ - at_ < 4) return false;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_digit(*at_++);
    if (digit < 0) return false;
    code = code << 4 | static_cast<unsigned>(digit);
  }
  return true;
}

bool JsonText::skip_string() {
  std::string_view plain;
  if (plain_string(plain)) return true;
  std::string ignored;
  return decode_string(ignored);
}

bool JsonText::number(std::string_view& out) {
  const char* const start = at_;
  const auto digits = [this] {
    const char* first = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != first;
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
  out = {start, at_};
  return true;
}

bool JsonText::copy_value(std::string& out, std::size_t depth_max) {
  const char next = peek();
  if (at_ == end_ || depth_max == 0) return false;
  if (next == '[') return copy_items(out, depth_max - 1, ']', false);
  if (next == '{') return copy_items(out, depth_max - 1, '}', true);
  const char* start = at_;
  std::string_view ignored;
  const bool good =
      next == '"' ? skip_string()
                  : take_word("true") || take_word("false") || take_word("null") || number(ignored);
  out.append(start, at_);
  return good;
}

bool JsonText::copy_items(std::string& out, std::size_t depth_max, char close, bool members) {
  out += *at_++;
  if (take(close)) return out += close, true;
  for (;;) {
    if (members && !copy_name(out)) return false;
    if (!copy_value(out, depth_max)) return false;
    if (take(close)) return out += close, true;
    if (!take(',')) return false;
    out += ',';
  }
}

bool JsonText::copy_name(std::string& out) {
  if (peek() != '"') return false;
  const char* start = at_;
  if (!skip_string()) return false;
  out.append(start, at_);
  if (!take(':')) return false;
  out += ':';
  return true;
}

}  // namespace redoubt::wire
