#include "operations/command_line.hpp"

#include "base/text.hpp"
#include "operations/idempotency_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>

namespace redoubt::operations {
namespace {

constexpr std::size_t kFieldsMax = 64;

bool is_json_kind(Kind kind) {
  return kind == Kind::json || kind == Kind::object || kind == Kind::array || kind == Kind::map;
}

// One word as JSON of the kind; empty when it cannot be.
std::optional<json::value> scalar_value(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::boolean:
      if (const auto value = parse_bool(text)) return json::value(*value);
      return std::nullopt;
    case Kind::integer:
      if (const auto value = parse_int(text)) return json::value(*value);
      return std::nullopt;
    case Kind::number: {
      auto value = parse_json(text);
      if (!value || !value->is_number()) return std::nullopt;
      return std::move(*value);
    }
    case Kind::duration:
      if (!parse_duration(text)) return std::nullopt;
      return json::value(text);
    case Kind::string:
    case Kind::time:
    case Kind::enumeration:
      return json::value(text);
    case Kind::json:
    case Kind::object:
    case Kind::array:
    case Kind::map:
      break;
  }
  return std::nullopt;
}

std::string_view kind_words(const TypeOps& type) {
  switch (type.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "a whole number";
    case Kind::number:
      return "a number";
    case Kind::duration:
      return "a duration such as 30s";
    case Kind::array:
      return type.item < Kind::object ? "a list: a,b,c or JSON" : "JSON";
    case Kind::json:
    case Kind::object:
    case Kind::map:
      return "JSON";
    default:
      return "text";
  }
}

std::optional<json::value> list_value(Kind item, std::string_view text) {
  json::array values;
  if (text.empty()) return json::value(std::move(values));
  for (const std::string_view word : split(text, ',')) {
    auto value = scalar_value(item, word);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return json::value(std::move(values));
}

std::optional<json::value> field_value(const FieldInfo& field, std::string_view text) {
  const Kind kind = field.type->kind;
  if (!is_json_kind(kind)) return scalar_value(kind, text);
  if (kind == Kind::array && !text.starts_with('[')) return list_value(field.type->item, text);
  auto value = parse_json(text);
  if (!value) return std::nullopt;
  return std::move(*value);
}

// A header that splits would be another request.
bool is_header_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

class CallBuilder {
 public:
  CallBuilder(const Operation& operation, const ReadFile& read_file)
      : operation_(operation), read_file_(read_file), path_(operation.info.path) {}

  Result<CommandCall> build(std::span<const std::string_view> arguments) {
    for (const std::string_view argument : arguments) {
      RD_CHECK(add(argument));
    }
    require_all();
    if (!errors_.empty()) return fail(problem());
    call_.method = operation_.info.method;
    call_.target = path_ + query_;
    if (!body_.empty()) {
      call_.body = to_json(body_);
      call_.content_type = "application/json";
    }
    return std::move(call_);
  }

 private:
  Result<void> add(std::string_view argument) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      complain(std::string(argument), "must be written name=value", "format");
      return {};
    }
    const std::string_view name = argument.substr(0, equals);
    const auto& fields = operation_.request_fields;
    const auto field = std::ranges::find(fields, name, &FieldInfo::name);
    if (field == fields.end()) {
      complain(std::string(name), unknown(name), "unknown");
      return {};
    }
    const auto index = static_cast<std::size_t>(field - fields.begin());
    if (seen_.test(index)) complain(std::string(name), "is given twice", "format");
    seen_.set(index);
    std::string text(argument.substr(equals + 1));
    const bool may_be_file = field->where == Where::raw_body || is_json_kind(field->type->kind);
    if (may_be_file && text.starts_with('@')) {
      RD_TRY(content, read_file_(std::string_view(text).substr(1)));
      text = std::move(content);
    }
    place(*field, text);
    return {};
  }

  void place(const FieldInfo& field, const std::string& text) {
    switch (field.where) {
      case Where::path:
        return place_in_path(field, text);
      case Where::query:
        query_ += query_.empty() ? '?' : '&';
        query_ += percent_encode(field.name) + "=" + percent_encode(text);
        return;
      case Where::header:
        if (!is_header_value(text)) {
          return complain(std::string(field.name), "must be one line", "format");
        }
        call_.headers.emplace_back(field.wire_name.empty() ? field.name : field.wire_name, text);
        return;
      case Where::raw_body:
        call_.body = text;
        call_.content_type = "application/octet-stream";
        return;
      case Where::body:
        break;
    }
    auto value = field_value(field, text);
    if (!value) {
      return complain(std::string(field.name), fmt::format("must be {}", kind_words(*field.type)),
                      "type");
    }
    body_[field.name] = std::move(*value);
  }

  void place_in_path(const FieldInfo& field, std::string_view text) {
    // An empty or dotted segment would be another path.
    if (text.empty() || text == "." || text == "..") {
      return complain(std::string(field.name), "cannot be part of a path", "format");
    }
    const std::string place = fmt::format("{{{}}}", field.name);
    const std::size_t at = path_.find(place);
    if (at != std::string::npos) path_.replace(at, place.size(), percent_encode(text));
  }

  void require_all() {
    const auto& fields = operation_.request_fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].required && !seen_.test(i)) {
        complain(std::string(fields[i].name), "is required", "required");
      }
    }
  }

  std::string unknown(std::string_view name) const {
    std::vector<std::string_view> names;
    for (const FieldInfo& field : operation_.request_fields) names.push_back(field.name);
    const std::string_view meant = nearest(name, names);
    if (!meant.empty()) return fmt::format("is not a field; did you mean {}?", meant);
    if (names.empty()) return fmt::format("is not a field: {} takes none", operation_.info.id);
    return fmt::format("is not a field; there are {}", fmt::join(names, ", "));
  }

  void complain(std::string name, std::string detail, std::string code) {
    errors_.push_back({{}, std::move(name), std::move(detail), std::move(code)});
  }

  Error problem() {
    std::string message;
    for (const FieldError& error : errors_) {
      if (!message.empty()) message += "; ";
      message += error.location + " " + error.detail;
    }
    Error error(Errc::invalid_argument, "validation_failed", std::move(message));
    error.fields = std::move(errors_);
    return error;
  }

  const Operation& operation_;
  const ReadFile& read_file_;
  std::string path_;
  std::string query_;
  json::object body_;
  CommandCall call_;
  FieldErrors errors_;
  std::bitset<kFieldsMax> seen_;
};

}  // namespace

Result<const Operation*> find_operation(const Registry& registry, std::string_view id) {
  if (const Operation* operation = registry.find(id)) return operation;
  std::vector<std::string_view> ids;
  for (const Operation& operation : registry.all()) ids.push_back(operation.info.id);
  const std::string_view meant = nearest(id, ids);
  std::string message = fmt::format("there is no operation {}", id);
  if (!meant.empty()) message += fmt::format("; did you mean {}?", meant);
  return fail(Error(Errc::not_found, "operation_not_found", std::move(message)));
}

Result<CommandCall> make_call(const Operation& operation,
                              std::span<const std::string_view> arguments,
                              const ReadFile& read_file) {
  return CallBuilder(operation, read_file).build(arguments);
}

Result<void> set_idempotency_key(CommandCall& call, std::string_view key) {
  const auto read = parse_idempotency_key(key);
  if (!read) {
    const FieldError& wrong = read.error().fields.front();
    return fail(invalid_argument("--idempotency-key", wrong.detail, wrong.code));
  }
  call.headers.emplace_back("Idempotency-Key", key);
  return {};
}

}  // namespace redoubt::operations
