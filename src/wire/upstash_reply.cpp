#include "base/bytes.hpp"
#include "base/json.hpp"
#include "wire/upstash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace redoubt::wire::upstash {
namespace {

using resp::Value;
using ValueKind = resp::Kind;

void append_base64(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto byte = [&text](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0u;
  };
  const auto digit = [&out, kDigits](unsigned value) { out += kDigits[value & 63u]; };
  for (std::size_t i = 0; i < text.size(); i += 3) {
    const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    digit(group >> 18);
    digit(group >> 12);
    if (i + 1 < text.size()) digit(group >> 6);
    if (i + 2 < text.size()) digit(group);
    if (i + 1 >= text.size()) out += '=';
    if (i + 2 >= text.size()) out += '=';
  }
}

void append_text(std::string& out, std::string_view text, bool base64) {
  if (!base64 || text == "OK") return append_json_string(out, text);
  out += '"';
  append_base64(out, text);
  out += '"';
}

void append_value(std::string& out, const Value& value, bool base64) {
  switch (value.kind()) {
    case ValueKind::null:
      out += "null";
      return;
    case ValueKind::integer:
    case ValueKind::boolean:
      append_int(out, value.as_integer());
      return;
    case ValueKind::real: {
      std::string text;
      append_real(text, value.as_real());
      return append_text(out, text, base64);
    }
    case ValueKind::error:
      return append_json_string(out, value.text());
    case ValueKind::simple:
    case ValueKind::bulk:
    case ValueKind::verbatim:
    case ValueKind::big_number:
      return append_text(out, value.text(), base64);
    case ValueKind::array:
    case ValueKind::map:
    case ValueKind::set:
    case ValueKind::push:
      break;
  }
  char separator = '[';
  for (const Value& item : value.items()) {
    out += separator;
    append_value(out, item, base64);
    separator = ',';
  }
  out += value.items().empty() ? "[]" : "]";
}

Value flat(Value value) {
  const auto is_pair = [](const Value& item) {
    return item.kind() == ValueKind::array && item.items().size() == 2;
  };
  if (!std::ranges::all_of(value.items(), is_pair)) return value;
  std::vector<Value> items;
  items.reserve(value.items().size() * 2);
  for (Value& pair : value.take_items()) {
    for (Value& item : pair.take_items()) items.push_back(std::move(item));
  }
  return Value::array(std::move(items));
}

Value paired(Value value) {
  std::vector<Value> pairs;
  std::vector<Value> items = value.take_items();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    std::vector<Value> pair;
    pair.push_back(std::move(items[i]));
    pair.push_back(std::move(items[i + 1]));
    pairs.push_back(Value::array(std::move(pair)));
  }
  return Value::array(std::move(pairs));
}

}  // namespace

void append_real(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "inf" : "-inf";
    return;
  }
  const double size = std::abs(value);
  const bool fixed = size == 0 || (size >= 1e-5 && size < 1e17);
  std::array<char, 64> text;
  const auto [end, ec] =
      std::to_chars(text.data(), text.data() + text.size(), value,
                    fixed ? std::chars_format::fixed : std::chars_format::scientific);
  out.append(text.data(), end);
}

Value as_resp2(Value value, bool pairs, bool streams) {
  if (pairs && value.kind() == ValueKind::array) return flat(std::move(value));
  if (streams && value.kind() == ValueKind::map) return paired(std::move(value));
  return value;
}

void append_reply(std::string& out, const Value& value, Format format) {
  if (format == Format::resp2) return resp::append_value_resp2(out, value);
  if (value.is_error()) return append_error(out, value.text());
  out += R"({"result":)";
  append_value(out, value, format == Format::base64);
  out += '}';
}

void begin_replies(std::string& out, std::size_t count, Format format) {
  if (format != Format::resp2) {
    out += '[';
    return;
  }
  out += '*';
  append_int(out, static_cast<std::int64_t>(count));
  out += "\r\n";
}

void separate_replies(std::string& out, Format format) {
  if (format != Format::resp2) out += ',';
}

void end_replies(std::string& out, Format format) {
  if (format != Format::resp2) out += ']';
}

void append_error(std::string& out, std::string_view text) {
  out += R"({"error":)";
  append_json_string(out, text);
  out += '}';
}

void append_event(std::string& out, std::string_view text) {
  std::string_view prefix = "data: ";
  for (;;) {
    const std::size_t end = text.find_first_of("\r\n");
    out += prefix;
    // A space after the colon is not part of the value; one that is needs another in front.
    if (prefix.size() == 5 && text.starts_with(' ')) out += ' ';
    out += text.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    const bool both = text.substr(end).starts_with("\r\n");
    text.remove_prefix(end + (both ? 2 : 1));
    prefix = "data:";
  }
  out += '\n';
}

}  // namespace redoubt::wire::upstash
