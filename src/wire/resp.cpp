#include "wire/resp.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace redoubt::wire::resp {
namespace {

constexpr std::size_t kLineMax = 64 * 1024;
constexpr std::size_t kReserveBytes = 64 * 1024;  // Room made before anything has arrived.
constexpr std::size_t kReserveItems = 256;
// Larger lengths are over any limit; so sums of two never overflow.
constexpr std::int64_t kLengthMax = std::int64_t{1} << 40;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  Number number{};
  const char* end = text.data() + text.size();
  const auto [at, ec] = std::from_chars(text.data(), end, number);
  if (ec != std::errc() || at != end || text.empty()) return std::nullopt;
  return number;
}

// A length, or -1 for null; empty when it is neither.
std::optional<std::int64_t> parse_length(std::string_view line) {
  if (line.starts_with('+')) return std::nullopt;
  const auto length = parse_number<std::int64_t>(line);
  if (!length || *length < -1 || *length > kLengthMax) return std::nullopt;
  return length;
}

bool is_big_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

Kind aggregate_kind(char type) {
  switch (type) {
    case '%':
    case '|':
      return Kind::map;
    case '~':
      return Kind::set;
    case '>':
      return Kind::push;
    default:
      return Kind::array;
  }
}

}  // namespace

Decoder::Status Decoder::decode(std::string_view input, std::size_t& used, Value& out) {
  used = 0;
  if (!problem_.empty()) return Status::malformed;
  for (;;) {
    std::size_t taken = 0;
    const Step next = step(input.substr(used), taken, out);
    used += taken;
    if (next == Step::more) return Status::more;
    if (next == Step::malformed) return Status::malformed;
    if (next == Step::complete && close(out)) {
      elements_ = bytes_ = 0;
      return Status::value;
    }
  }
}

// The next line, or the next bytes of a bulk.
Decoder::Step Decoder::step(std::string_view input, std::size_t& used, Value& out) {
  if (bulk_type_ != 0) return bulk(input, used, out);
  if (input.empty()) return Step::more;
  if (std::strchr("+-:$*_#,(!=%~>|", input[0]) == nullptr || input[0] == '\0') {
    return refuse("a reply of an unknown type");
  }
  const std::string_view rest = input.substr(1, kLineMax + 1);
  const auto* end = static_cast<const char*>(std::memchr(rest.data(), '\r', rest.size()));
  const std::size_t length =
      end == nullptr ? rest.size() : static_cast<std::size_t>(end - rest.data());
  if (length > kLineMax) return refuse("a line is too long");
  if (end == nullptr || length + 2 >= input.size()) return Step::more;
  if (input[length + 2] != '\n') return refuse("a line does not end in CR LF");
  used = length + 3;
  if (++elements_ > limits_.elements) return refuse("a reply has too many values");
  if (!account(sizeof(Value))) return refuse("a reply is too large");
  return header(input[0], rest.substr(0, length), out);
}

Decoder::Step Decoder::header(char type, std::string_view line, Value& out) {
  switch (type) {
    case '$':
    case '!':
    case '=':
      return begin_bulk(type, line, out);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return begin_aggregate(type, line, out);
    default:
      return scalar(type, line, out);
  }
}

Decoder::Step Decoder::scalar(char type, std::string_view line, Value& out) {
  if (type == ':') {
    const auto number = parse_number<std::int64_t>(line);
    if (!number) return refuse("an integer is malformed");
    out = Value::integer(*number);
  } else if (type == ',') {
    const auto number = parse_number<double>(line);
    if (!number) return refuse("a double is malformed");
    out = Value::real(*number);
  } else if (type == '_') {
    if (!line.empty()) return refuse("a null is malformed");
    out = Value();
  } else if (type == '#') {
    if (line != "t" && line != "f") return refuse("a boolean is malformed");
    out = Value::boolean(line == "t");
  } else if (type == '(') {
    if (!is_big_number(line)) return refuse("a big number is malformed");
    if (!account(line.size())) return refuse("a reply is too large");
    out = Value::big_number(std::string(line));
  } else {
    if (line.find('\n') != std::string_view::npos) return refuse("a line does not end in CR LF");
    if (!account(line.size())) return refuse("a reply is too large");
    out = type == '-' ? Value::error(std::string(line)) : Value::simple(std::string(line));
  }
  return Step::complete;
}

Decoder::Step Decoder::begin_bulk(char type, std::string_view line, Value& out) {
  const auto length = parse_length(line);
  if (!length) return refuse("the length of a string is malformed");
  if (*length < 0) {
    if (type != '$') return refuse("the length of a string is malformed");
    out = Value();
    return Step::complete;
  }
  const auto size = static_cast<std::size_t>(*length);
  if (!account(size)) return refuse("a reply is too large");
  bulk_type_ = type;
  bulk_left_ = size + 2;
  return Step::opened;
}

Decoder::Step Decoder::bulk(std::string_view input, std::size_t& used, Value& out) {
  if (input.size() >= bulk_left_) {
    if (bulk_left_ == 1) {  // The CR came before.
      if (input[0] != '\n') return refuse("a string does not end in CR LF");
    } else if (input[bulk_left_ - 2] != '\r' || input[bulk_left_ - 1] != '\n') {
      return refuse("a string does not end in CR LF");
    }
    used = bulk_left_;
    const std::string_view tail = input.substr(0, bulk_left_ < 2 ? 0 : bulk_left_ - 2);
    std::string text = std::move(bulk_text_);
    bulk_text_ = {};
    return finish_bulk(std::move(text.append(tail)), out);
  }
  if (bulk_text_.empty()) bulk_text_.reserve(std::min(bulk_left_, kReserveBytes));
  used = input.size();
  const std::size_t of_text = bulk_left_ < 2 ? 0 : std::min(used, bulk_left_ - 2);
  bulk_text_.append(input.substr(0, of_text));
  if (of_text < used && input[of_text] != '\r') return refuse("a string does not end in CR LF");
  bulk_left_ -= used;
  return Step::more;
}

Decoder::Step Decoder::finish_bulk(std::string text, Value& out) {
  const char type = std::exchange(bulk_type_, '\0');
  if (type == '$') {
    out = Value::bulk(std::move(text));
  } else if (type == '!') {
    out = Value::error(std::move(text));
  } else {
    if (text.size() < 4 || text[3] != ':') return refuse("a verbatim string is malformed");
    out = Value::verbatim(text.substr(4));
  }
  return Step::complete;
}

Decoder::Step Decoder::begin_aggregate(char type, std::string_view line, Value& out) {
  const auto length = parse_length(line);
  if (!length || (*length < 0 && type != '*')) return refuse("the length of an array is malformed");
  if (*length < 0) {
    out = Value();
    return Step::complete;
  }
  if (type == '>' && !open_.empty()) return refuse("a push within a reply");
  const Kind kind = aggregate_kind(type);
  const auto count = static_cast<std::size_t>(*length) * (kind == Kind::map ? 2 : 1);
  if (count > limits_.elements - elements_) return refuse("a reply has too many values");
  const bool attribute = type == '|';
  if (count == 0) {
    if (attribute) return Step::opened;
    out = Value::aggregate(kind, {});
    return Step::complete;
  }
  if (open_.size() >= limits_.depth) return refuse("a reply is nested too deep");
  Open open{kind, attribute, count, {}};
  open.items.reserve(attribute ? 0 : std::min(count, kReserveItems));
  open_.push_back(std::move(open));
  return Step::opened;
}

// Puts a whole value where it belongs. True when it is the reply itself.
bool Decoder::close(Value& out) {
  while (!open_.empty()) {
    Open& top = open_.back();
    if (!top.attribute) top.items.push_back(std::move(out));
    if (--top.left > 0) return false;
    const bool attribute = top.attribute;
    if (!attribute) out = Value::aggregate(top.kind, std::move(top.items));
    open_.pop_back();
    if (attribute) return false;  // It describes the value that follows.
  }
  return true;
}

bool Decoder::account(std::size_t bytes) {
  if (bytes > limits_.bytes - bytes_) return false;
  bytes_ += bytes;
  return true;
}

Decoder::Step Decoder::refuse(std::string_view problem) {
  problem_ = problem;
  open_.clear();
  bulk_text_ = {};
  return Step::malformed;
}

}  // namespace redoubt::wire::resp
