// JSON Schema 2020-12 from descriptions.
//
// Bounds of strings are bytes, and maxLength counts characters: the schema says what follows from
// the bytes (n bytes hold at most n and at least n/4 characters), the server checks the bytes. A
// duration is read as a number of seconds or as text ("30s", "1h30m") and written as a number.
#pragma once

#include "operations/describe.hpp"

namespace redoubt::operations {

// The schema of one field with its description, example and, unless null, default from `defaults`.
json::object field_schema(const FieldInfo& info, void* defaults, Schemas& schemas);

// The schema of the body fields, as an object; not yet a component.
json::object object_schema(std::span<const FieldInfo> fields, void* defaults, Schemas& schemas);

namespace detail {
json::object boolean_schema(const FieldInfo& info, Schemas& schemas);
json::object integer_schema(const FieldInfo& info, Schemas& schemas);
json::object number_schema(const FieldInfo& info, Schemas& schemas);
json::object string_schema(const FieldInfo& info, Schemas& schemas);
json::object duration_schema(const FieldInfo& info, Schemas& schemas);
json::object time_schema(const FieldInfo& info, Schemas& schemas);
json::object json_schema(const FieldInfo& info, Schemas& schemas);
}  // namespace detail

}  // namespace redoubt::operations
