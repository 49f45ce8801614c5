// bool, std::int64_t, double, std::string, Duration, WallTime and Json: read, checked and written.
#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/text.hpp"
#include "operations/complaint.hpp"
#include "operations/describe_types.hpp"
#include "operations/schema.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace redoubt::operations {
namespace {

constexpr std::int64_t kExactIntegerMax = std::int64_t{1} << 53;

using Printer = std::string (*)(std::int64_t);
std::string print_number(std::int64_t n) {
  return fmt::format("{}", n);
}
std::string print_duration(std::int64_t ms) {
  return format_duration(Duration(ms));
}

std::string range_text(const FieldInfo& info, Printer print) {
  if (info.max == kUnbounded) return "must be at least " + print(info.min);
  return "must be between " + print(info.min) + " and " + print(info.max);
}
Complaint check_number(const FieldInfo& info, std::int64_t value) {
  if (in_bounds(info, value)) return {};
  return {range_text(info, print_number), "range"};
}
Complaint check_number(const FieldInfo& info, double value) {
  if (in_bounds(info, value)) return {};
  return {range_text(info, print_number), "range"};
}
Complaint check_duration(const FieldInfo& info, Duration value) {
  if (in_bounds(info, value.count())) return {};
  return {range_text(info, print_duration), "range"};
}
Complaint check_string(const FieldInfo& info, std::string_view value) {
  if (info.where != Where::raw_body && value.find('\0') != std::string_view::npos) {
    return {"must not contain U+0000", "format"};
  }
  return check_count(info, value.size(), "bytes");
}

// ---- From JSON: a complaint, or the value is in `out` ----
Complaint from_json(const json::value& in, bool& out, const FieldInfo&) {
  if (!in.is_bool()) return {"must be true or false", "type"};
  out = in.get_bool();
  return {};
}

Complaint from_json(const json::value& in, std::int64_t& out, const FieldInfo& info) {
  if (in.is_int64()) {
    out = in.get_int64();
  } else if (in.is_uint64()) {
    return {info.has_bounds ? range_text(info, print_number) : "is too large", "range"};
  } else if (in.is_double() && std::trunc(in.get_double()) == in.get_double() &&
             std::abs(in.get_double()) <= static_cast<double>(kExactIntegerMax)) {
    out = static_cast<std::int64_t>(in.get_double());  // 5.0 and 1e3 are integers in JSON Schema.
  } else {
    return {"must be a whole number", "type"};
  }
  return check_number(info, out);
}

Complaint from_json(const json::value& in, double& out, const FieldInfo& info) {
  if (!in.is_number()) return {"must be a number", "type"};
  out = in.to_number<double>();
  return check_number(info, out);
}

Complaint from_json(const json::value& in, std::string& out, const FieldInfo& info) {
  if (!in.is_string()) return {"must be a string", "type"};
  const std::string_view text = in.get_string();
  out.assign(text);
  return check_string(info, text);
}

constexpr std::string_view kDurationHint =
    "must be a number of seconds, or text such as 30s or 1h30m";

Complaint from_text(std::string_view in, Duration& out, const FieldInfo& info) {
  const auto duration = parse_duration(in);
  if (!duration) return {std::string(kDurationHint), "format"};
  out = *duration;
  return check_duration(info, out);
}

Complaint from_json(const json::value& in, Duration& out, const FieldInfo& info) {
  if (in.is_string()) return from_text(std::string_view(in.get_string()), out, info);
  if (!in.is_number()) return {std::string(kDurationHint), "type"};
  constexpr double kSecondsMax = 100.0 * 366 * 86400;  // As parse_duration.
  const double seconds = in.to_number<double>();
  if (!(seconds >= 0 && seconds <= kSecondsMax)) {
    if (info.has_bounds) return {range_text(info, print_duration), "range"};
    return {"must be between 0 and 100 years", "range"};
  }
  out = Duration(std::llround(seconds * 1000));
  return check_duration(info, out);
}

constexpr std::string_view kTimeHint = "must be a time such as 2026-01-31T12:00:00Z";

Complaint from_text(std::string_view in, WallTime& out, const FieldInfo&) {
  if (!parse_rfc3339(in, out)) return {std::string(kTimeHint), "format"};
  return {};
}
Complaint from_json(const json::value& in, WallTime& out, const FieldInfo& info) {
  if (!in.is_string()) return {std::string(kTimeHint), "type"};
  return from_text(std::string_view(in.get_string()), out, info);
}

Complaint from_json(const json::value& in, Json& out, const FieldInfo& info) {
  out.text = to_json(in);
  return check_count(info, out.text.size(), "bytes");
}

// ---- From text ----
Complaint from_text(std::string_view in, bool& out, const FieldInfo&) {
  const auto value = parse_bool(in);
  if (!value) return {"must be true or false", "type"};
  out = *value;
  return {};
}

// "5" and W/"5" are the entity tags of version 5.
std::string_view without_tag_quotes(std::string_view in) {
  if (in.starts_with("W/\"")) in.remove_prefix(2);
  if (in.size() >= 2 && in.front() == '"' && in.back() == '"') return in.substr(1, in.size() - 2);
  return in;
}

Complaint from_text(std::string_view in, std::int64_t& out, const FieldInfo& info) {
  const auto value = parse_int(info.where == Where::header ? without_tag_quotes(in) : in);
  if (!value) return {"must be a whole number", "type"};
  out = *value;
  return check_number(info, out);
}

Complaint from_text(std::string_view in, double& out, const FieldInfo& info) {
  const char* end = in.data() + in.size();
  const auto read = std::from_chars(in.data(), end, out);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(out)) {
    return {"must be a number", "type"};
  }
  return check_number(info, out);
}

Complaint from_text(std::string_view in, std::string& out, const FieldInfo& info) {
  if (info.where != Where::raw_body && !is_utf8(in)) return {"must be UTF-8", "format"};
  out.assign(in);
  return check_string(info, in);
}

Complaint from_text(std::string_view in, Json& out, const FieldInfo& info) {
  const auto value = parse_json(in);
  if (!value) return {value.error().message, "format"};
  return from_json(*value, out, info);
}

// ---- From plain JSON: false, also when there would be a complaint ----
template <class T>
bool plain_scalar(PlainJson& in, void* out, const FieldInfo& info) {
  T& value = *static_cast<T*>(out);
  if constexpr (std::is_same_v<T, bool>) {
    return in.boolean(value);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return in.integer(value) && in_bounds(info, value);
  } else if constexpr (std::is_same_v<T, Json>) {
    value.text.clear();
    return in.value(value.text) && in_bounds(info, static_cast<std::int64_t>(value.text.size()));
  } else {
    std::string_view text;
    if (!in.string(text) || !in_bounds(info, static_cast<std::int64_t>(text.size()))) return false;
    value.assign(text);
    return true;
  }
}

// ---- To JSON ----
void to_text(std::string& out, bool value) {
  out += value ? "true" : "false";
}
void to_text(std::string& out, std::int64_t value) {
  append_int(out, value);
}
void to_text(std::string& out, const std::string& value) {
  append_json_string(out, value);
}
void to_text(std::string& out, const Json& value) {
  out += value.text;
}

void to_text(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";  // JSON has no other word for it.
    return;
  }
  std::array<char, 32> buffer;
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), written.ptr);
}

void to_text(std::string& out, Duration value) {
  std::int64_t ms = value.count();
  if (ms < 0) {
    out += '-';
    ms = ms == std::numeric_limits<std::int64_t>::min() ? kUnbounded : -ms;
  }
  append_int(out, ms / 1000);
  const auto fraction = static_cast<int>(ms % 1000);
  if (fraction == 0) return;
  const std::array<char, 4> digits{'.', static_cast<char>('0' + fraction / 100),
                                   static_cast<char>('0' + fraction / 10 % 10),
                                   static_cast<char>('0' + fraction % 10)};
  const std::size_t size = fraction % 10 != 0 ? 4 : fraction % 100 != 0 ? 3 : 2;
  out.append(digits.data(), size);
}

void to_text(std::string& out, WallTime value) {
  out += '"';
  append_rfc3339(out, value);
  out += '"';
}

// ---- The functions of a scalar's TypeOps ----
template <class T>
bool parse_scalar(const json::value& in, void* out, const FieldInfo& info, Path& path,
                  FieldErrors& errors) {
  Complaint complaint = from_json(in, *static_cast<T*>(out), info);
  if (complaint.code.empty()) return true;
  add_error(errors, path, std::move(complaint.detail), complaint.code);
  return false;
}
template <class T>
bool parse_scalar_text(std::string_view in, void* out, const FieldInfo& info, FieldErrors& errors) {
  Complaint complaint = from_text(in, *static_cast<T*>(out), info);
  if (complaint.code.empty()) return true;
  add_error(errors, info, std::move(complaint.detail), complaint.code);
  return false;
}
template <class T>
void write_scalar(std::string& out, const void* in) {
  to_text(out, *static_cast<const T*>(in));
}

}  // namespace

namespace detail {

constinit const TypeOps OpsHolder<bool>::ops = {
    kind,           parse_scalar<bool>, parse_scalar_text<bool>, write_scalar<bool>, nullptr,
    boolean_schema, Kind::json,         plain_scalar<bool>};
constinit const TypeOps OpsHolder<std::int64_t>::ops = {kind,
                                                        parse_scalar<std::int64_t>,
                                                        parse_scalar_text<std::int64_t>,
                                                        write_scalar<std::int64_t>,
                                                        nullptr,
                                                        integer_schema,
                                                        Kind::json,
                                                        plain_scalar<std::int64_t>};
constinit const TypeOps OpsHolder<double>::ops = {
    kind,    parse_scalar<double>, parse_scalar_text<double>, write_scalar<double>,
    nullptr, number_schema};
constinit const TypeOps OpsHolder<std::string>::ops = {kind,
                                                       parse_scalar<std::string>,
                                                       parse_scalar_text<std::string>,
                                                       write_scalar<std::string>,
                                                       nullptr,
                                                       string_schema,
                                                       Kind::json,
                                                       plain_scalar<std::string>};
constinit const TypeOps OpsHolder<Duration>::ops = {
    kind,    parse_scalar<Duration>, parse_scalar_text<Duration>, write_scalar<Duration>,
    nullptr, duration_schema};
constinit const TypeOps OpsHolder<WallTime>::ops = {kind,
                                                    parse_scalar<WallTime>,
                                                    parse_scalar_text<WallTime>,
                                                    write_scalar<WallTime>,
                                                    nullptr,
                                                    time_schema};
constinit const TypeOps OpsHolder<Json>::ops = {
    kind,        parse_scalar<Json>, parse_scalar_text<Json>, write_scalar<Json>, nullptr,
    json_schema, Kind::json,         plain_scalar<Json>};

}  // namespace detail
}  // namespace redoubt::operations
