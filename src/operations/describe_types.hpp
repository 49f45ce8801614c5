// The TypeOps of each member type (the list is in describe.hpp, which includes this file).
//
// The templates here only say where a value is and what it is made of; everything that decides is
// compiled once, in describe_types.cpp, over void*.
//
// Text sources: a list of scalars is separated by commas, structs and maps are JSON. An integer in
// a header may be an entity tag ("5", W/"5"), and an optional one may be *, which is no
// restriction. U+0000 is refused in every string; a raw body and Json are kept as they are.
#pragma once

#include "operations/describe.hpp"
#include "operations/plain_json.hpp"

#include <cstddef>

namespace redoubt::operations {

inline constexpr std::size_t kFieldErrorsMax = 50;  // More tell the caller nothing new.

// "query.limit", "header.If-Match"; "body.ttl" for a field of the body.
std::string location_of(const FieldInfo& info);

// Adds an error at `path`, or at the parameter that `info` describes. Bounded in number and size.
void add_error(FieldErrors& errors, const Path& path, std::string detail, std::string_view code);
void add_error(FieldErrors& errors, const FieldInfo& info, std::string detail,
               std::string_view code);

// `fields.size()`: none of that name comes from the body.
std::size_t find_body_field(std::span<const FieldInfo> fields, std::string_view name);
// Reads the members of a JSON object that `fields` says come from the body.
bool read_object(const json::value& in, std::span<const FieldInfo> fields, void* out, Path& path,
                 FieldErrors& errors);
void write_object(std::string& out, std::span<const FieldInfo> fields, const void* object);

// Adds the struct's schema to the components under a name made from `name`, and refers to it.
json::object component_ref(std::string_view name, std::span<const FieldInfo> fields, void* defaults,
                           Schemas& schemas);

namespace detail {

template <>
struct OpsHolder<bool> {
  static constexpr Kind kind = Kind::boolean;
  static const TypeOps ops;
};
template <>
struct OpsHolder<std::int64_t> {
  static constexpr Kind kind = Kind::integer;
  static const TypeOps ops;
};
template <>
struct OpsHolder<double> {
  static constexpr Kind kind = Kind::number;
  static const TypeOps ops;
};
template <>
struct OpsHolder<std::string> {
  static constexpr Kind kind = Kind::string;
  static const TypeOps ops;
};
template <>
struct OpsHolder<Duration> {
  static constexpr Kind kind = Kind::duration;
  static const TypeOps ops;
};
template <>
struct OpsHolder<WallTime> {
  static constexpr Kind kind = Kind::time;
  static const TypeOps ops;
};
template <>
struct OpsHolder<Json> {
  static constexpr Kind kind = Kind::json;
  static const TypeOps ops;
};

// ---- Enums ----
using Names = std::span<const std::string_view>;
std::optional<std::size_t> parse_name(std::string_view in, Names names, const Path& path,
                                      FieldErrors& errors);
std::optional<std::size_t> parse_name(const json::value& in, Names names, const Path& path,
                                      FieldErrors& errors);
void write_name(std::string& out, Names names, std::size_t index);
bool plain_name(PlainJson& in, Names names, std::size_t& index);
json::object names_schema(Names names);
Path path_of(const FieldInfo& info);
// What is said of one element of the list or map that `info` describes.
FieldInfo element_info(const FieldInfo& info, const TypeOps& type);

template <class T>
  requires std::is_enum_v<T>
struct OpsHolder<T> {
  static constexpr Kind kind = Kind::enumeration;
  static bool set(std::optional<std::size_t> index, void* out) {
    if (index) *static_cast<T*>(out) = static_cast<T>(*index);
    return index.has_value();
  }
  static bool parse(const json::value& in, void* out, const FieldInfo&, Path& path,
                    FieldErrors& errors) {
    return set(parse_name(in, EnumNames<T>::names, path, errors), out);
  }
  static bool parse_text(std::string_view in, void* out, const FieldInfo& info,
                         FieldErrors& errors) {
    return set(parse_name(in, EnumNames<T>::names, path_of(info), errors), out);
  }
  static bool plain(PlainJson& in, void* out, const FieldInfo&) {
    std::size_t index = 0;
    return plain_name(in, EnumNames<T>::names, index) && set(index, out);
  }
  static void write(std::string& out, const void* in) {
    write_name(out, EnumNames<T>::names, static_cast<std::size_t>(*static_cast<const T*>(in)));
  }
  static json::object schema(const FieldInfo&, Schemas&) {
    return names_schema(EnumNames<T>::names);
  }
  static const TypeOps ops;
};
template <class T>
  requires std::is_enum_v<T>
constinit const TypeOps OpsHolder<T>::ops = {kind,    parse,  parse_text, write,
                                             nullptr, schema, Kind::json, plain};

// JSON in a parameter: what parse_text of a struct, a map and a list of structs is.
bool parse_json_text(std::string_view in, void* out, const FieldInfo& info, const TypeOps& type,
                     FieldErrors& errors);

// ---- Described structs ----
template <Described T>
struct OpsHolder<T> {
  static constexpr Kind kind = Kind::object;
  static bool parse(const json::value& in, void* out, const FieldInfo&, Path& path,
                    FieldErrors& errors) {
    return read_object(in, fields_of<T>(), out, path, errors);
  }
  static bool parse_text(std::string_view in, void* out, const FieldInfo& info,
                         FieldErrors& errors) {
    return parse_json_text(in, out, info, ops, errors);
  }
  static bool plain(PlainJson& in, void* out, const FieldInfo&) {
    return read_plain_object(in, fields_of<T>(), out);
  }
  static void write(std::string& out, const void* in) { write_object(out, fields_of<T>(), in); }
  static json::object schema(const FieldInfo&, Schemas& schemas) {
    T defaults{};
    return component_ref(Description<T>::name, fields_of<T>(), &defaults, schemas);
  }
  static const TypeOps ops;
};
template <Described T>
constinit const TypeOps OpsHolder<T>::ops = {kind,    parse,  parse_text, write,
                                             nullptr, schema, Kind::json, plain};

// ---- std::optional ----
template <class T>
struct OpsHolder<std::optional<T>> {
  static constexpr Kind kind = OpsHolder<T>::kind;
  using Optional = std::optional<T>;
  static constexpr Kind item_kind = [] {
    if constexpr (requires { OpsHolder<T>::item; }) return OpsHolder<T>::item;
    return Kind::json;
  }();
  static constexpr bool kNullIsAValue = std::is_same_v<T, Json>;

  static bool parse(const json::value& in, void* out, const FieldInfo& info, Path& path,
                    FieldErrors& errors) {
    auto& value = *static_cast<Optional*>(out);
    value.reset();
    if (!kNullIsAValue && in.is_null()) return true;
    return OpsHolder<T>::ops.parse(in, &value.emplace(), info, path, errors);
  }
  static bool parse_text(std::string_view in, void* out, const FieldInfo& info,
                         FieldErrors& errors) {
    auto& value = *static_cast<Optional*>(out);
    value.reset();
    const bool any_version =
        std::is_same_v<T, std::int64_t> && info.where == Where::header && in == "*";
    if (any_version) return true;
    return OpsHolder<T>::ops.parse_text(in, &value.emplace(), info, errors);
  }
  static bool plain(PlainJson& in, void* out, const FieldInfo& info) {
    const auto of_value = OpsHolder<T>::ops.plain;
    return of_value != nullptr && of_value(in, &static_cast<Optional*>(out)->emplace(), info);
  }
  static void write(std::string& out, const void* in) {
    const auto& value = *static_cast<const Optional*>(in);
    if (value) {
      OpsHolder<T>::ops.write(out, &*value);
    } else {
      out += "null";
    }
  }
  static bool omit(const void* in) { return !static_cast<const Optional*>(in)->has_value(); }
  static json::object schema(const FieldInfo& info, Schemas& schemas) {
    return OpsHolder<T>::ops.schema(info, schemas);
  }
  static const TypeOps ops;
};
template <class T>
constinit const TypeOps OpsHolder<std::optional<T>>::ops = {kind, parse,  parse_text, write,
                                                            omit, schema, item_kind,  plain};

// ---- std::vector and std::map ----
struct Container {
  void (*clear)(void* container);
  void* (*append)(void* container, std::string_view key);  // The new element; lists take no key.
};
bool parse_list(const json::value& in, void* out, const Container& container, const TypeOps& item,
                const FieldInfo& info, Path& path, FieldErrors& errors);
bool parse_list_text(std::string_view in, void* out, const Container& container,
                     const TypeOps& item, const FieldInfo& info, FieldErrors& errors);
bool parse_map(const json::value& in, void* out, const Container& container, const TypeOps& item,
               const FieldInfo& info, Path& path, FieldErrors& errors);
bool plain_list(PlainJson& in, void* out, const Container& container, const TypeOps& item,
                const FieldInfo& info);
json::object list_schema(const TypeOps& item, const FieldInfo& info, Schemas& schemas);
json::object map_schema(const TypeOps& item, const FieldInfo& info, Schemas& schemas);
void write_map_key(std::string& out, std::string_view key);

template <class T>
struct OpsHolder<std::vector<T>> {
  static constexpr Kind kind = Kind::array;
  static constexpr Kind item = OpsHolder<T>::kind;
  static_assert(!std::is_same_v<T, bool>, "std::vector<bool> has no addressable elements");
  using Vector = std::vector<T>;
  static constexpr Container container{
      [](void* v) { static_cast<Vector*>(v)->clear(); },
      [](void* v, std::string_view) -> void* { return &static_cast<Vector*>(v)->emplace_back(); }};

  static bool parse(const json::value& in, void* out, const FieldInfo& info, Path& path,
                    FieldErrors& errors) {
    return parse_list(in, out, container, OpsHolder<T>::ops, info, path, errors);
  }
  static bool parse_text(std::string_view in, void* out, const FieldInfo& info,
                         FieldErrors& errors) {
    if (OpsHolder<T>::kind >= Kind::object) return parse_json_text(in, out, info, ops, errors);
    return parse_list_text(in, out, container, OpsHolder<T>::ops, info, errors);
  }
  static bool plain(PlainJson& in, void* out, const FieldInfo& info) {
    return plain_list(in, out, container, OpsHolder<T>::ops, info);
  }
  static void write(std::string& out, const void* in) {
    char separator = '[';
    for (const T& value : *static_cast<const Vector*>(in)) {
      out += separator;
      OpsHolder<T>::ops.write(out, &value);
      separator = ',';
    }
    out += separator == '[' ? "[]" : "]";
  }
  static json::object schema(const FieldInfo& info, Schemas& schemas) {
    return list_schema(OpsHolder<T>::ops, info, schemas);
  }
  static const TypeOps ops;
};
template <class T>
constinit const TypeOps OpsHolder<std::vector<T>>::ops = {kind,    parse,  parse_text, write,
                                                          nullptr, schema, item,       plain};

template <class T>
struct OpsHolder<std::map<std::string, T>> {
  static constexpr Kind kind = Kind::map;
  static constexpr Kind item = OpsHolder<T>::kind;
  using Map = std::map<std::string, T>;
  static constexpr Container container{[](void* m) { static_cast<Map*>(m)->clear(); },
                                       [](void* m, std::string_view key) -> void* {
                                         return &(*static_cast<Map*>(m))[std::string(key)];
                                       }};

  static bool parse(const json::value& in, void* out, const FieldInfo& info, Path& path,
                    FieldErrors& errors) {
    return parse_map(in, out, container, OpsHolder<T>::ops, info, path, errors);
  }
  static bool parse_text(std::string_view in, void* out, const FieldInfo& info,
                         FieldErrors& errors) {
    return parse_json_text(in, out, info, ops, errors);
  }
  static void write(std::string& out, const void* in) {
    char separator = '{';
    for (const auto& [key, value] : *static_cast<const Map*>(in)) {
      out += separator;
      write_map_key(out, key);
      OpsHolder<T>::ops.write(out, &value);
      separator = ',';
    }
    out += separator == '{' ? "{}" : "}";
  }
  static json::object schema(const FieldInfo& info, Schemas& schemas) {
    return map_schema(OpsHolder<T>::ops, info, schemas);
  }
  static const TypeOps ops;
};
template <class T>
constinit const TypeOps OpsHolder<std::map<std::string, T>>::ops = {
    kind, parse, parse_text, write, nullptr, schema, item};

}  // namespace detail

template <class T>
const TypeOps* type_ops() {
  return &detail::OpsHolder<T>::ops;
}

}  // namespace redoubt::operations
