// Values: their accessors, and how they are written.
#include "wire/resp.hpp"

#include <charconv>
#include <cmath>

namespace redoubt::wire::resp {
namespace {

void append_number(std::string& out, char type, std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.push_back(type);
  out.append(digits, end);
  out.append("\r\n");
}

void append_line(std::string& out, char type, std::string_view text) {
  out.push_back(type);
  out.append(text);
  out.append("\r\n");
}

void append_counted(std::string& out, char type, std::string_view text) {
  append_number(out, type, static_cast<std::int64_t>(text.size()));
  out.append(text);
  out.append("\r\n");
}

std::string text_of(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char digits[40];
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}

bool fits_line(std::string_view text) {
  return text.find_first_of("\r\n") == std::string_view::npos;
}

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  return line;
}

char type_of(Kind aggregate) {
  switch (aggregate) {
    case Kind::map:
      return '%';
    case Kind::set:
      return '~';
    case Kind::push:
      return '>';
    default:
      return '*';
  }
}

}  // namespace

std::string_view Value::text() const {
  const auto* text = std::get_if<std::string>(&data_);
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

std::string Value::take_text() {
  auto* text = std::get_if<std::string>(&data_);
  return text == nullptr ? std::string() : std::exchange(*text, {});
}

std::int64_t Value::as_integer() const {
  const auto* number = std::get_if<std::int64_t>(&data_);
  return number == nullptr ? 0 : *number;
}

double Value::as_real() const {
  const auto* number = std::get_if<double>(&data_);
  return number == nullptr ? static_cast<double>(as_integer()) : *number;
}

std::span<const Value> Value::items() const {
  const auto* items = std::get_if<std::vector<Value>>(&data_);
  return items == nullptr ? std::span<const Value>() : std::span<const Value>(*items);
}

std::vector<Value> Value::take_items() {
  auto* items = std::get_if<std::vector<Value>>(&data_);
  return items == nullptr ? std::vector<Value>() : std::exchange(*items, {});
}

bool operator==(const Value& a, const Value& b) {
  if (a.kind_ != b.kind_) return false;
  if (a.kind_ == Kind::real && std::isnan(a.as_real())) return std::isnan(b.as_real());
  return a.data_ == b.data_;
}

void append_bulk(std::string& out, std::string_view text) {
  append_counted(out, '$', text);
}

void append_command(std::string& out, std::span<const std::string_view> arguments) {
  append_number(out, '*', static_cast<std::int64_t>(arguments.size()));
  for (const std::string_view argument : arguments) append_bulk(out, argument);
}

void append_value(std::string& out, const Value& value) {
  const auto count = static_cast<std::int64_t>(value.items().size());
  switch (value.kind()) {
    case Kind::null:
      return append_line(out, '_', "");
    case Kind::simple:
      return append_line(out, '+', one_line(value.text()));
    case Kind::error:
      return fits_line(value.text()) ? append_line(out, '-', value.text())
                                     : append_counted(out, '!', value.text());
    case Kind::integer:
      return append_number(out, ':', value.as_integer());
    case Kind::real:
      return append_line(out, ',', text_of(value.as_real()));
    case Kind::boolean:
      return append_line(out, '#', value.as_boolean() ? "t" : "f");
    case Kind::bulk:
      return append_bulk(out, value.text());
    case Kind::verbatim:
      return append_counted(out, '=', "txt:" + std::string(value.text()));
    case Kind::big_number:
      return append_line(out, '(', value.text());
    case Kind::map:
    case Kind::array:
    case Kind::set:
    case Kind::push:
      append_number(out, type_of(value.kind()), value.kind() == Kind::map ? count / 2 : count);
      for (const Value& item : value.items()) append_value(out, item);
  }
}

void append_value_resp2(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::null:
      return append_line(out, '$', "-1");
    case Kind::simple:
      return append_line(out, '+', one_line(value.text()));
    case Kind::error:
      return append_line(out, '-', one_line(value.text()));
    case Kind::integer:
    case Kind::boolean:
      return append_number(out, ':', value.as_integer());
    case Kind::real:
      return append_bulk(out, text_of(value.as_real()));
    case Kind::bulk:
    case Kind::verbatim:
    case Kind::big_number:
      return append_bulk(out, value.text());
    case Kind::array:
    case Kind::map:
    case Kind::set:
    case Kind::push:
      append_number(out, '*', static_cast<std::int64_t>(value.items().size()));
      for (const Value& item : value.items()) append_value_resp2(out, item);
  }
}

}  // namespace redoubt::wire::resp
