// A second decoder of RESP, as simple as it can be: recursive, over a whole text, without limits
// but one on depth. What the real one says is compared with what this one says.
#pragma once

#include "wire/resp.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::test {

class RespReference {
 public:
  enum class Verdict { value, incomplete, malformed };

  explicit RespReference(std::string_view text) : text_(text) {}

  // Reads the reply at the front of what is left.
  Verdict read(wire::resp::Value& out) {
    verdict_ = Verdict::value;
    auto value = parse(0);
    if (value) out = std::move(*value);
    return verdict_;
  }
  std::size_t position() const { return at_; }

 private:
  using Value = wire::resp::Value;
  using Kind = wire::resp::Kind;

  std::nullopt_t stop(Verdict verdict) {
    verdict_ = verdict;
    return std::nullopt;
  }

  std::optional<std::string> line() {
    const std::size_t end = text_.find('\r', at_);
    if (end == std::string_view::npos || end + 1 >= text_.size()) return stop(Verdict::incomplete);
    if (text_[end + 1] != '\n') return stop(Verdict::malformed);
    std::string found(text_.substr(at_, end - at_));
    at_ = end + 2;
    return found;
  }

  static bool digits(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
      if (c < '0' || c > '9') return false;
    }
    return true;
  }

  // -1, 0, 1, ...; -2 when it is none.
  static long long length_of(const std::string& text) {
    if (text == "-1") return -1;
    if (text.starts_with('-') && digits(text.substr(1)) &&
        text.find_first_not_of('0', 1) == std::string::npos) {
      return 0;
    }
    if (text.starts_with("-") && digits(text.substr(1)) && std::atoll(text.c_str()) == -1)
      return -1;
    if (!digits(text) || text.find_first_not_of('0') == std::string::npos)
      return digits(text) ? 0 : -2;
    const std::size_t start = text.find_first_not_of('0');
    if (text.size() - start > 13) return -2;
    const long long length = std::atoll(text.c_str());
    return length > (1LL << 40) ? -2 : length;
  }

  std::optional<Value> string(char type) {
    const auto head = line();
    if (!head) return std::nullopt;
    const long long length = length_of(*head);
    if (length == -1 && type == '$') return Value();
    if (length < 0) return stop(Verdict::malformed);
    const auto size = static_cast<std::size_t>(length);
    const std::string_view rest = text_.substr(at_);
    if (rest.size() >= size + 1 && rest[size] != '\r') return stop(Verdict::malformed);
    if (rest.size() < size + 2) return stop(Verdict::incomplete);
    if (rest[size + 1] != '\n') return stop(Verdict::malformed);
    std::string body(rest.substr(0, size));
    at_ += size + 2;
    if (type == '$') return Value::bulk(body);
    if (type == '!') return Value::error(body);
    if (body.size() < 4 || body[3] != ':') return stop(Verdict::malformed);
    return Value::verbatim(body.substr(4));
  }

  std::optional<Value> list(char type, int depth) {
    const auto head = line();
    if (!head) return std::nullopt;
    long long length = length_of(*head);
    if (length == -1 && type == '*') return Value();
    if (length < 0 || (type == '>' && depth > 0)) return stop(Verdict::malformed);
    const bool pairs = type == '%' || type == '|';
    if (pairs) length *= 2;
    std::vector<Value> items;
    for (long long i = 0; i < length; ++i) {
      auto item = parse(depth + 1);
      if (!item) return std::nullopt;
      items.push_back(std::move(*item));
    }
    if (type == '|') return parse(depth);
    const Kind kind = type == '%'   ? Kind::map
                      : type == '~' ? Kind::set
                      : type == '>' ? Kind::push
                                    : Kind::array;
    return Value::aggregate(kind, std::move(items));
  }

  std::optional<Value> number(std::string text, bool real) {
    if (text.starts_with('+')) {
      text.erase(0, 1);
      if (text.starts_with('-') || text.starts_with('+')) return stop(Verdict::malformed);
    }
    // Only what strtoll and strtod take and the protocol does not: white space, hexadecimal.
    if (text.empty() || text.find_first_of(" \t\n\v\f+xXpP") == 0 ||
        text.find_first_of("xXpP") != std::string::npos) {
      return stop(Verdict::malformed);
    }
    char* end = nullptr;
    errno = 0;
    if (real) {
      const double value = std::strtod(text.c_str(), &end);
      if (end != text.c_str() + text.size() || errno == ERANGE) return stop(Verdict::malformed);
      return Value::real(value);
    }
    const long long value = std::strtoll(text.c_str(), &end, 10);
    if (end != text.c_str() + text.size() || errno == ERANGE) return stop(Verdict::malformed);
    return Value::integer(value);
  }

  std::optional<Value> parse(int depth) {
    if (depth > 200) return stop(Verdict::malformed);
    if (at_ >= text_.size()) return stop(Verdict::incomplete);
    const char type = text_[at_];
    if (type == '\0' || std::string_view("+-:$*_#,(!=%~>|").find(type) == std::string_view::npos) {
      return stop(Verdict::malformed);
    }
    ++at_;
    if (type == '$' || type == '!' || type == '=') return string(type);
    if (type == '*' || type == '%' || type == '~' || type == '>' || type == '|') {
      return list(type, depth);
    }
    auto text = line();
    if (!text) return std::nullopt;
    return scalar(type, *text);
  }

  std::optional<Value> scalar(char type, const std::string& text) {
    if (type == ':') return number(text, false);
    if (type == ',') return number(text, true);
    if (type == '_' && text.empty()) return Value();
    if (type == '#' && (text == "t" || text == "f")) return Value::boolean(text == "t");
    if (type == '(') {
      const bool sign = text.starts_with('-') || text.starts_with('+');
      if (digits(std::string_view(text).substr(sign ? 1 : 0))) return Value::big_number(text);
    }
    const bool one_line = text.find('\n') == std::string::npos;
    if (type == '+' && one_line) return Value::simple(text);
    if (type == '-' && one_line) return Value::error(text);
    return stop(Verdict::malformed);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Verdict verdict_ = Verdict::value;
};

}  // namespace redoubt::test
