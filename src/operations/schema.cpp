#include "operations/schema.hpp"

#include "base/assert.hpp"
#include "operations/complaint.hpp"

namespace redoubt::operations {
namespace {

constexpr std::string_view kDurationPattern =
    R"(^([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$)";

constexpr std::string_view kEntityTagPattern = R"re(^(\*|(W/)?"[0-9]+")$)re";

json::object of_type(std::string_view type) {
  json::object schema;
  schema["type"] = type;
  return schema;
}

json::object any_of(json::object first, json::object second) {
  json::array forms;
  forms.push_back(std::move(first));
  forms.push_back(std::move(second));
  json::object schema;
  schema["anyOf"] = std::move(forms);
  return schema;
}

void set_bounds(json::object& schema, const FieldInfo& info, std::string_view min,
                std::string_view max) {
  if (!info.has_bounds) return;
  if (info.min != std::numeric_limits<std::int64_t>::min()) schema[min] = info.min;
  if (info.max != kUnbounded) schema[max] = info.max;
}

json::value seconds(std::int64_t ms) {
  if (ms % 1000 == 0) return ms / 1000;
  return static_cast<double>(ms) / 1000;
}

json::object seconds_schema(const FieldInfo& info) {
  json::object schema = of_type("number");
  if (info.has_bounds) {
    schema["minimum"] = seconds(info.min);
    if (info.max != kUnbounded) schema["maximum"] = seconds(info.max);
  }
  return schema;
}

// An example is written as a person would say it: fitted to the field's kind here.
json::value example_value(const FieldInfo& info) {
  switch (info.type->kind) {
    case Kind::string:
    case Kind::enumeration:
    case Kind::time:
      return json::value(info.example);
    default:
      break;
  }
  auto value = parse_json(info.example);
  return value ? std::move(*value) : json::value(info.example);
}

bool within_bounds(const FieldInfo& info, const json::value& value) {
  if (!info.has_bounds || !value.is_number()) return true;
  const double scale = info.type->kind == Kind::duration ? 1000 : 1;
  const double number = value.to_number<double>() * scale;
  return number >= static_cast<double>(info.min) && number <= static_cast<double>(info.max);
}

// The default, if it says something: "" and structs do not, nor does one that stands for "none" by
// being out of bounds.
void set_default(json::object& schema, const FieldInfo& info, void* defaults) {
  const Kind kind = info.type->kind;
  if (info.required || info.secret || kind == Kind::object || kind == Kind::json) return;
  const void* member = info.member(defaults);
  if (info.type->omit != nullptr && info.type->omit(member)) return;
  std::string text;
  info.type->write(text, member);
  auto value = parse_json(text);
  if (!value || text == "\"\"" || text == "[]" || text == "{}") return;
  if (within_bounds(info, *value)) schema["default"] = std::move(*value);
}

}  // namespace

json::object field_schema(const FieldInfo& info, void* defaults, Schemas& schemas) {
  json::object schema = info.type->schema(info, schemas);
  if (!info.doc.empty()) schema["description"] = info.doc;
  if (info.secret) {
    if (info.type->kind == Kind::string) schema["format"] = "password";
    if (!schemas.of_reply) schema["writeOnly"] = true;
  }
  if (!schemas.of_reply && defaults != nullptr) set_default(schema, info, defaults);
  if (!info.example.empty()) {
    json::array examples;
    examples.push_back(example_value(info));
    schema["examples"] = std::move(examples);
  }
  return schema;
}

json::object object_schema(std::span<const FieldInfo> fields, void* defaults, Schemas& schemas) {
  json::object schema = of_type("object");
  json::object properties;
  json::array required_names;
  for (const FieldInfo& field : fields) {
    if (field.where != Where::body) continue;
    properties[field.name] = field_schema(field, defaults, schemas);
    const bool always = schemas.of_reply ? field.type->omit == nullptr : field.required;
    if (always) required_names.emplace_back(json::string(field.name));
  }
  schema["properties"] = std::move(properties);
  if (!required_names.empty()) schema["required"] = std::move(required_names);
  if (!schemas.of_reply) schema["additionalProperties"] = false;
  return schema;
}

json::object component_ref(std::string_view name, std::span<const FieldInfo> fields, void* defaults,
                           Schemas& schemas) {
  std::string key(name);
  if (schemas.replies != nullptr && schemas.replies->contains(name)) key += "Input";
  const auto [source, is_new] = schemas.sources.emplace(key, fields.data());
  RD_ASSERT(source->second == fields.data(), "two structs have the same schema name");
  if (is_new) schemas.components[key] = object_schema(fields, defaults, schemas);
  json::object reference;
  reference["$ref"] = std::string(schemas.prefix) + key;
  return reference;
}

namespace detail {

json::object boolean_schema(const FieldInfo&, Schemas&) {
  return of_type("boolean");
}

json::object integer_schema(const FieldInfo& info, Schemas&) {
  json::object schema = of_type("integer");
  set_bounds(schema, info, "minimum", "maximum");
  if (info.where != Where::header) return schema;
  json::object tag = of_type("string");
  tag["pattern"] = kEntityTagPattern;
  return any_of(std::move(schema), std::move(tag));
}

json::object number_schema(const FieldInfo& info, Schemas&) {
  json::object schema = of_type("number");
  set_bounds(schema, info, "minimum", "maximum");
  return schema;
}

json::object string_schema(const FieldInfo& info, Schemas&) {
  json::object schema = of_type("string");
  if (!info.has_bounds) return schema;
  if (info.min > 0) schema["minLength"] = (info.min + 3) / 4;
  if (info.max != kUnbounded) schema["maxLength"] = info.max;
  return schema;
}

json::object duration_schema(const FieldInfo& info, Schemas& schemas) {
  if (schemas.of_reply) return seconds_schema(info);
  json::object text = of_type("string");
  text["pattern"] = kDurationPattern;
  return any_of(seconds_schema(info), std::move(text));
}

json::object time_schema(const FieldInfo&, Schemas&) {
  json::object schema = of_type("string");
  schema["format"] = "date-time";
  return schema;
}

json::object json_schema(const FieldInfo&, Schemas&) {
  return {};
}

json::object names_schema(Names names) {
  json::object schema = of_type("string");
  json::array values;
  for (const std::string_view name : names) values.emplace_back(json::string(name));
  schema["enum"] = std::move(values);
  return schema;
}

json::object list_schema(const TypeOps& item, const FieldInfo& info, Schemas& schemas) {
  FieldInfo element;
  element.name = info.name;
  element.type = &item;
  json::object schema = of_type("array");
  schema["items"] = item.schema(element, schemas);
  set_bounds(schema, info, "minItems", "maxItems");
  return schema;
}

json::object map_schema(const TypeOps& item, const FieldInfo& info, Schemas& schemas) {
  FieldInfo element;
  element.name = info.name;
  element.type = &item;
  json::object schema = of_type("object");
  schema["additionalProperties"] = item.schema(element, schemas);
  set_bounds(schema, info, "minProperties", "maxProperties");
  return schema;
}

}  // namespace detail
}  // namespace redoubt::operations
