// A request's fields from path, query, headers and body, with every problem reported at once.
#include "base/text.hpp"
#include "operations/operation.hpp"
#include "operations/plain_json.hpp"

#include <fmt/format.h>

#include <bitset>

namespace redoubt::operations {
namespace {

constexpr std::size_t kFieldsMax = 64;  // Registry::add sees to it.
constexpr std::size_t kNameMax = 64;    // Longer names of parameters are not repeated in errors.

void add_query_error(FieldErrors& errors, std::string_view name, std::string detail,
                     std::string_view code) {
  Path path;
  path.location = "query";
  if (!name.empty() && name.size() <= kNameMax) path.location += "." + std::string(name);
  add_error(errors, path, std::move(detail), code);
}

std::string unknown_parameter(std::span<const FieldInfo> fields, std::string_view name) {
  std::string detail = "is not a parameter of this request";
  if (name.size() > kNameMax) return detail;
  std::vector<std::string_view> candidates;
  for (const FieldInfo& field : fields) {
    if (field.where == Where::query) candidates.push_back(field.name);
  }
  const std::string_view meant = nearest(name, candidates);
  if (!meant.empty()) detail += fmt::format("; did you mean {}?", meant);
  return detail;
}

class RequestReader {
 public:
  RequestReader(std::span<const FieldInfo> fields, void* object, const OperationInput& input)
      : fields_(fields), object_(object), input_(input) {}

  Result<void> read() {
    for (const FieldInfo& field : fields_) {
      has_body_ |= field.where == Where::body;
      has_raw_ |= field.where == Where::raw_body;
      if (field.where == Where::path) read_path(field);
      if (field.where == Where::header) read_header(field);
      if (field.where == Where::raw_body) read_raw(field);
    }
    read_query();
    if (has_body_) {
      RD_CHECK(read_body());
    } else if (!has_raw_) {
      refuse_body();
    }
    if (errors_.empty()) return {};
    return fail(validation_failed());
  }

 private:
  void read_text(const FieldInfo& field, std::string_view text) {
    field.type->parse_text(text, field.member(object_), field, errors_);
  }
  void require(const FieldInfo& field) {
    if (field.required) add_error(errors_, field, "is required", "required");
  }

  void read_path(const FieldInfo& field) {
    for (const PathParam& param : input_.path) {
      if (param.name == field.name) return read_text(field, param.value);
    }
    require(field);
  }

  void read_header(const FieldInfo& field) {
    const std::string_view name = field.wire_name.empty() ? field.name : field.wire_name;
    const std::string_view value =
        input_.headers == nullptr ? std::string_view{} : input_.headers->header(name);
    if (value.empty()) return require(field);
    read_text(field, value);
  }

  void read_raw(const FieldInfo& field) {
    if (input_.body.empty()) return require(field);
    read_text(field, input_.body);
  }

  void read_query() {
    std::string_view rest = input_.query;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('&'), rest.size());
      if (end > 0) read_parameter(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (fields_[i].where == Where::query && !seen_.test(i)) require(fields_[i]);
    }
  }

  void read_parameter(std::string_view pair) {
    if (errors_.size() >= kFieldErrorsMax) return;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = percent_decode(pair.substr(0, equals), true);
    if (!name) return add_query_error(errors_, {}, "has a bad percent-escape in a name", "format");
    std::size_t i = 0;
    while (i < fields_.size() && (fields_[i].where != Where::query || fields_[i].name != *name))
      ++i;
    if (i == fields_.size()) {
      return add_query_error(errors_, *name, unknown_parameter(fields_, *name), "unknown");
    }
    if (seen_.test(i)) return add_query_error(errors_, *name, "is given twice", "format");
    seen_.set(i);
    const auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) return add_query_error(errors_, *name, "has a bad percent-escape", "format");
    read_text(fields_[i], *value);
  }

  Result<void> read_body() {
    Path path;
    if (input_.body.empty()) {
      read_object(json::object(), fields_, object_, path, errors_);
      return {};
    }
    if (read_plain_body(input_.body, fields_, object_)) return {};
    RD_TRY(body, parse_json(input_.body));
    read_object(body, fields_, object_, path, errors_);
    return {};
  }

  // What was sent would have no effect: better said than ignored.
  void refuse_body() {
    const std::string_view body = trim(input_.body);
    if (body.empty() || body == "{}") return;
    add_error(errors_, Path{}, "must be empty: this operation takes no body", "unknown");
  }

  Error validation_failed() {
    std::string message = errors_.front().location + " " + errors_.front().detail;
    if (errors_.size() > 1) message += fmt::format(" (and {} more)", errors_.size() - 1);
    Error error(Errc::invalid_argument, "validation_failed", std::move(message));
    error.fields = std::move(errors_);
    return error;
  }

  std::span<const FieldInfo> fields_;
  void* object_;
  const OperationInput& input_;
  FieldErrors errors_;
  std::bitset<kFieldsMax> seen_;  // Of the query fields.
  bool has_body_ = false;
  bool has_raw_ = false;
};

}  // namespace

Result<void> read_request(std::span<const FieldInfo> fields, void* object,
                          const OperationInput& input) {
  if (fields.empty() && input.query.empty() && input.body.empty()) return {};
  return RequestReader(fields, object, input).read();
}

Result<void> read_request(const OperationInfo& info, std::span<const FieldInfo> fields,
                          void* object, const OperationInput& input) {
  const bool meaningless = info.method == Method::get || info.method == Method::head;
  if (!meaningless || input.body.empty()) return read_request(fields, object, input);
  OperationInput without_content = input;
  without_content.body = {};
  return read_request(fields, object, without_content);
}

}  // namespace redoubt::operations
