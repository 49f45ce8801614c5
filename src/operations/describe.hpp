// Descriptions: what a request or reply struct looks like from outside, written once beside it.
//
//   struct AcquireLock {
//     std::string name;
//     Duration ttl = 30s;
//     static constexpr std::string_view schema_name = "AcquireLock";
//     static constexpr auto fields = describe(
//         field<&AcquireLock::name>("name", "What is being locked.", length(1, 512), in_path),
//         field<&AcquireLock::ttl>("ttl", "How long the lease lasts.", between(1s, 1h)));
//   };
//
// For a type of include/redoubt, which knows nothing of this, specialize Description<T> instead.
// From a description come parsing with errors that point at the field, JSON output, JSON Schema
// 2020-12 (defaults are those of a default-constructed struct), OpenAPI parameters and CLI help.
//
// Member types: bool, std::int64_t, double, std::string, Duration (reads 30, "30s"; writes seconds),
// WallTime (RFC 3339), Json, enums with EnumNames<T>, described structs, and std::optional,
// std::vector and std::map<std::string, T> of them.
#pragma once

#include "base/json.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/error.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace redoubt::operations {

// Any JSON, kept as its text. Reading checks it; writing emits it as it is.
struct Json {
  std::string text = "null";
};

// The names of an enum's values, in the order of the values from 0.
template <class T>
struct EnumNames;  // static constexpr std::array<std::string_view, N> names;

enum class Where : std::uint8_t { body, path, query, header, raw_body };

struct FieldInfo;
struct TypeOps;
class PlainJson;

struct Path {  // Where we are, for errors: "/states/3/policy".
  std::string pointer;
  std::string location = "body";  // Of the root; "query.filter" for JSON inside a parameter.
};
using FieldErrors = std::vector<FieldError>;

// What a member looks like in JSON. An optional has the kind of its value.
enum class Kind : std::uint8_t {
  boolean, integer, number, string, duration, time, json, enumeration, object, array, map,
};

// The JSON Schemas made on the way. A reply's says what is always there, a request's what must be,
// and that nothing else may be; a struct used both ways gets two schemas.
struct Schemas {
  json::object components = {};
  bool of_reply = false;
  std::string_view prefix = "#/components/schemas/";  // Of references to components.
  const json::object* replies = nullptr;  // Names a request's schema must stay clear of.
  std::map<std::string, const FieldInfo*> sources = {};  // Which struct a component is of.
};

// What the framework needs to know of a member type.
struct TypeOps {
  Kind kind = Kind::json;
  // Reads `in` into `out`; on trouble adds to `errors` and returns false.
  bool (*parse)(const json::value& in, void* out, const FieldInfo& info, Path& path,
                FieldErrors& errors);
  // The same from text (path, query, header, command line).
  bool (*parse_text)(std::string_view in, void* out, const FieldInfo& info, FieldErrors& errors);
  void (*write)(std::string& out, const void* in);
  bool (*omit)(const void* in);  // An empty optional is left out of the output; null: never.
  json::object (*schema)(const FieldInfo& info, Schemas& schemas);
  Kind item = Kind::json;  // Of a list or map.
  // Reads what needs no document (plain_json.hpp); false: it may. Null: it always does.
  bool (*plain)(PlainJson& in, void* out, const FieldInfo& info) = nullptr;
};

struct FieldInfo {
  std::string_view name;
  std::string_view doc;
  Where where = Where::body;
  std::string_view wire_name;   // Header name, when it differs.
  bool required = false;
  bool secret = false;          // Shown once or never; "writeOnly"/format password in the schema.
  bool has_bounds = false;
  std::int64_t min = 0;         // Of a number; milliseconds of a Duration; length of a string;
  std::int64_t max = 0;         // items of a vector or map.
  std::string_view example;
  const TypeOps* type = nullptr;
  void* (*member)(void* object) = nullptr;
};

// ---- Attributes of a field ----
struct Bounds { std::int64_t min; std::int64_t max; };
constexpr Bounds length(std::int64_t min, std::int64_t max) { return {min, max}; }
constexpr Bounds items(std::int64_t min, std::int64_t max) { return {min, max}; }
constexpr Bounds between(std::int64_t min, std::int64_t max) { return {min, max}; }
constexpr Bounds between(Duration min, Duration max) { return {min.count(), max.count()}; }
struct WhereIs { Where where; std::string_view wire_name; };
inline constexpr WhereIs in_path{Where::path, {}};
inline constexpr WhereIs in_query{Where::query, {}};
inline constexpr WhereIs raw_body{Where::raw_body, {}};
constexpr WhereIs in_header(std::string_view name) { return {Where::header, name}; }
struct RequiredTag {};
inline constexpr RequiredTag required{};
struct SecretTag {};
inline constexpr SecretTag secret{};
struct Example { std::string_view text; };
constexpr Example example(std::string_view text) { return {text}; }

template <class T>
struct Description {};
template <class T>
  requires requires { T::schema_name; T::fields; }
struct Description<T> {
  static constexpr std::string_view name = T::schema_name;
  static constexpr auto& fields = T::fields;
};
template <class T>
concept Described = requires {
  { Description<T>::name } -> std::convertible_to<std::string_view>;
  Description<T>::fields.size();
};
template <Described T>
constexpr std::span<const FieldInfo> fields_of() {
  return {Description<T>::fields.data(), Description<T>::fields.size()};
}

template <class T>
const TypeOps* type_ops();  // Below, in describe_types.hpp.

namespace detail {
template <class>
struct MemberOf;
template <class Object, class Value>
struct MemberOf<Value Object::*> {
  using object = Object;
  using value = Value;
};
template <auto Member>
void* member_address(void* object) {
  using Object = typename MemberOf<decltype(Member)>::object;
  return &(static_cast<Object*>(object)->*Member);
}
constexpr void apply(FieldInfo& f, Bounds b) { f.has_bounds = true; f.min = b.min; f.max = b.max; }
constexpr void apply(FieldInfo& f, WhereIs w) {
  f.where = w.where;
  f.wire_name = w.wire_name;
  if (w.where == Where::path) f.required = true;
}
constexpr void apply(FieldInfo& f, RequiredTag) { f.required = true; }
constexpr void apply(FieldInfo& f, SecretTag) { f.secret = true; }
constexpr void apply(FieldInfo& f, Example e) { f.example = e.text; }
template <class T>
struct OpsHolder;  // static const TypeOps ops; in describe_types.hpp.
}  // namespace detail

template <auto Member, class... Attributes>
constexpr FieldInfo field(std::string_view name, std::string_view doc, Attributes... attributes) {
  FieldInfo info;
  info.name = name;
  info.doc = doc;
  info.type = &detail::OpsHolder<typename detail::MemberOf<decltype(Member)>::value>::ops;
  info.member = &detail::member_address<Member>;
  (detail::apply(info, attributes), ...);
  return info;
}

template <class... Fields>
constexpr std::array<FieldInfo, sizeof...(Fields)> describe(Fields... fields) {
  return {fields...};
}

}  // namespace redoubt::operations

#include "operations/describe_types.hpp"  // The TypeOps of each member type.
