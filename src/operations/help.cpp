// What `redoubt call` says of operations, from their declarations.
#include "base/text.hpp"
#include "operations/command_line.hpp"
#include "operations/complaint.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::operations {
namespace {

std::string_view placeholder(const FieldInfo& field) {
  if (field.where == Where::raw_body) return "TEXT|@FILE";
  switch (field.type->kind) {
    case Kind::boolean:
      return "true|false";
    case Kind::integer:
    case Kind::number:
      return "NUMBER";
    case Kind::duration:
      return "DURATION";
    case Kind::time:
      return "TIME";
    case Kind::array:
      return field.type->item < Kind::object ? "A,B,C" : "JSON|@FILE";
    case Kind::json:
    case Kind::object:
    case Kind::map:
      return "JSON|@FILE";
    case Kind::string:
    case Kind::enumeration:
      break;
  }
  return "TEXT";
}

std::string_view unit_of(Kind kind) {
  if (kind == Kind::string || kind == Kind::json) return " bytes";
  return kind == Kind::array || kind == Kind::map ? " items" : "";
}

std::string bounds_text(const FieldInfo& field) {
  const auto print = [&](std::int64_t n) {
    return field.type->kind == Kind::duration ? format_duration(Duration(n)) : fmt::format("{}", n);
  };
  if (field.max == kUnbounded) return fmt::format("at least {}", print(field.min));
  return fmt::format("{} to {}{}", print(field.min), print(field.max), unit_of(field.type->kind));
}

// The names of an enum's values; empty for other kinds.
std::string names_text(const FieldInfo& field) {
  Schemas schemas;
  const json::object schema = field.type->schema(field, schemas);
  const json::value* names = schema.if_contains("enum");
  if (names == nullptr) return {};
  std::string out;
  for (const json::value& name : names->get_array()) {
    if (!out.empty()) out += "|";
    out += std::string_view(name.get_string());
  }
  return out;
}

std::string default_text(const FieldInfo& field, void* defaults) {
  const void* member = field.member(defaults);
  if (field.type->omit != nullptr && field.type->omit(member)) return {};
  if (field.type->kind == Kind::object || field.type->kind == Kind::json) return {};
  std::string out;
  field.type->write(out, member);
  if (out == "\"\"" || out == "[]" || out == "{}") return {};
  if (field.type->kind == Kind::duration) out += "s";
  return out;
}

std::string notes(const FieldInfo& field, void* defaults) {
  std::vector<std::string> parts;
  if (field.required) parts.emplace_back("required");
  if (field.has_bounds) parts.push_back(bounds_text(field));
  if (!field.required) {
    const std::string text = default_text(field, defaults);
    if (!text.empty()) parts.push_back("default " + text);
  }
  if (!field.example.empty()) parts.push_back(fmt::format("for example {}", field.example));
  return parts.empty() ? std::string() : fmt::format(" ({})", fmt::join(parts, "; "));
}

std::string label(const FieldInfo& field) {
  std::string names;
  if (field.type->kind == Kind::enumeration) names = names_text(field);
  return fmt::format("{}={}", field.name, names.empty() ? placeholder(field) : names);
}

}  // namespace

std::string operation_help(const Operation& operation) {
  const OperationInfo& info = operation.info;
  std::string out =
      fmt::format("{}: {}\n{} {}\n", info.id, info.summary, method_name(info.method), info.path);
  if (!info.doc.empty()) out += fmt::format("\n{}\n", info.doc);
  std::size_t width = 0;
  for (const FieldInfo& field : operation.request_fields) {
    width = std::max(width, label(field).size());
  }
  if (width > 0) out += "\n";
  for (const FieldInfo& field : operation.request_fields) {
    out += fmt::format("  {:<{}}  {}{}\n", label(field), width, field.doc,
                       notes(field, operation.request_defaults.get()));
  }
  std::string usage = fmt::format("\nUsage: redoubt call {}", info.id);
  for (const FieldInfo& field : operation.request_fields) {
    if (field.required) usage += " " + label(field);
  }
  if (takes_key(info)) usage += " [--idempotency-key KEY]";
  return out + usage + "\n";
}

std::string operation_list(const Registry& registry) {
  std::vector<const Operation*> sorted;
  std::size_t width = 0;
  for (const Operation& operation : registry.all()) {
    sorted.push_back(&operation);
    width = std::max(width, operation.info.id.size());
  }
  std::ranges::sort(sorted, {}, [](const Operation* o) { return o->info.id; });
  std::string out;
  for (const Operation* operation : sorted) {
    out += fmt::format("{:<{}}  {}\n", operation->info.id, width, operation->info.summary);
  }
  return out;
}

}  // namespace redoubt::operations
