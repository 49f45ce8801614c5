#include "operations/openapi.hpp"

#include "operations/problem.hpp"
#include "operations/schema.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::operations {
namespace {

constexpr std::string_view kAbout =
    "Redoubt keeps what an agent backend must remember and must not get wrong.\n\n"
    "Credentials go into `Authorization: Bearer`: an API key (`rdk_...`), or, where it says so, a "
    "session token (`rds_...`). Durations are read as a number of seconds or as text such as `30s` "
    "and `1h30m`, and written as a number of seconds. Lengths of strings are limits in bytes of "
    "UTF-8. Requests may have no members and no parameters but those described; replies may get "
    "more members over time. Errors are `application/problem+json` (RFC 9457); `code` is what a "
    "program should look at.";

struct HeaderRow {
  std::string_view name;
  std::string_view doc;
  std::string_view type;
  std::string_view example;
};
constexpr std::array kHeaders{
    HeaderRow{"X-Request-ID", "Names this request in logs and errors.", "string", "01hf7yat"},
    HeaderRow{"ETag", "The version, for If-Match.", "string", "\"3\""},
    HeaderRow{"RateLimit", "What is left of each limit that was looked at.", "string",
              "\"minute\";r=42;t=17"},
    HeaderRow{"RateLimit-Policy", "The limits that were looked at.", "string",
              "\"minute\";q=60;w=60"},
    HeaderRow{"Idempotency-Replayed",
              "`true`: the answer was kept from an earlier request with the same Idempotency-Key.",
              "string", "true"},
    HeaderRow{"Retry-After", "Seconds until it is worth trying again.", "integer", "17"},
    HeaderRow{"WWW-Authenticate", "How to authenticate.", "string", "Bearer"},
};

constexpr std::string_view kKeyParameter = "IdempotencyKey";
constexpr std::string_view kKeyDoc =
    "A text of the caller's choice, 1 to 128 characters of ASCII, quoted or not: the request is "
    "carried out once however often it is sent with it, and a repetition is given the first one's "
    "answer. For another request it is refused with 422, while the first is under way with 409.";

struct ProblemRow {
  int status;
  std::string_view name;  // Of the component.
  std::string_view doc;
  std::string_view header;  // One that comes with it.
};
constexpr std::array kProblems{
    ProblemRow{400, "BadRequest", "The request is wrong; `errors` says where.", {}},
    ProblemRow{401, "Unauthorized", "No credential, or one that is not good.", "WWW-Authenticate"},
    ProblemRow{403, "Forbidden", "The credential is good but may not do this.", {}},
    ProblemRow{404, "NotFound", "There is no such object in this tenant.", {}},
    ProblemRow{409, "Conflict", "The state does not allow it now.", {}},
    ProblemRow{412, "PreconditionFailed", "It has changed: If-Match named another version.", {}},
    ProblemRow{413, "PayloadTooLarge", "The body is larger than is taken.", {}},
    ProblemRow{415, "UnsupportedMediaType", "The body is not of a type that is read here.", {}},
    ProblemRow{422, "KeyReused", "The Idempotency-Key was used for another request.", {}},
    ProblemRow{429, "TooManyRequests", "A limit refuses it.", "Retry-After"},
    ProblemRow{503, "ServiceUnavailable", "Something it needs is away.", "Retry-After"},
};

// {"a": 1, "b": 2} without the trouble initializer lists of json::value make.
class Object {
 public:
  template <class T>
  Object&& set(std::string_view key, T&& value) && {
    object_[key] = std::forward<T>(value);
    return std::move(*this);
  }
  operator json::object() && { return std::move(object_); }  // NOLINT: implicit on purpose

 private:
  json::object object_;
};

json::object reference(std::string_view kind, std::string_view name) {
  return Object().set("$ref", fmt::format("#/components/{}/{}", kind, name));
}

json::array one(json::object object) {
  json::array array;
  array.push_back(std::move(object));
  return array;
}

bool any_field(const Operation& operation, auto predicate) {
  return std::ranges::any_of(operation.request_fields, predicate);
}
bool has(const Operation& operation, Where where) {
  return any_field(operation, [&](const FieldInfo& f) { return f.where == where; });
}
bool has_header(const Operation& operation, std::string_view name) {
  return any_field(operation, [&](const FieldInfo& f) {
    return f.where == Where::header && f.wire_name == name;
  });
}

// OpenAPI has other words for these three and ignores parameters of that name.
bool is_reserved_header(std::string_view name) {
  return name == "Authorization" || name == "Content-Type" || name == "Accept";
}

json::object media(std::string_view type, json::object schema) {
  return Object().set(type, json::object(Object().set("schema", std::move(schema))));
}

// ---- One operation ----
json::object parameter(const FieldInfo& field, void* defaults, Schemas& schemas) {
  json::object schema = field_schema(field, defaults, schemas);
  json::object out;
  out["name"] = field.wire_name.empty() ? field.name : field.wire_name;
  out["in"] = field.where == Where::path    ? "path"
              : field.where == Where::query ? "query"
                                            : "header";
  if (const auto* doc = schema.if_contains("description")) {
    out["description"] = *doc;
    schema.erase("description");
  }
  if (field.required) out["required"] = true;
  const Kind kind = field.type->kind;
  const bool as_json = kind == Kind::object || kind == Kind::map || kind == Kind::json ||
                       (kind == Kind::array && field.type->item >= Kind::object);
  if (as_json) {
    out["content"] = media("application/json", std::move(schema));
    return out;
  }
  if (kind == Kind::array && field.where == Where::query) out["explode"] = false;
  out["schema"] = std::move(schema);
  return out;
}

json::array parameters(const Operation& operation, Schemas& schemas) {
  json::array out;
  for (const FieldInfo& field : operation.request_fields) {
    if (field.where == Where::body || field.where == Where::raw_body) continue;
    if (is_reserved_header(field.wire_name)) continue;
    out.push_back(parameter(field, operation.request_defaults.get(), schemas));
  }
  if (takes_key(operation.info)) out.push_back(reference("parameters", kKeyParameter));
  return out;
}

void set_request_body(json::object& out, const Operation& operation, Schemas& schemas) {
  json::object body;
  bool needed = false;
  for (const FieldInfo& field : operation.request_fields) {
    if (field.where != Where::raw_body) continue;
    body["description"] = field.doc;
    body["content"] = media("*/*", {});
    needed = field.required;
  }
  if (has(operation, Where::body)) {
    body["content"] =
        media("application/json", component_ref(operation.request_name, operation.request_fields,
                                                operation.request_defaults.get(), schemas));
    needed = any_field(operation,
                       [](const FieldInfo& f) { return f.where == Where::body && f.required; });
  }
  if (body.empty()) return;
  body["required"] = needed;
  out["requestBody"] = std::move(body);
}

bool may_answer(const Operation& operation, int status) {
  const bool body = has(operation, Where::body) || has(operation, Where::raw_body);
  const OperationInfo& info = operation.info;
  switch (status) {
    case 401:
    case 403:
      return !info.is_public;
    case 404:
      return has(operation, Where::path);
    case 409:
      return info.access != Access::read && info.method != Method::get;
    case 422:
      return takes_key(info);
    case 412:
      return has_header(operation, "If-Match") || has_header(operation, "If-None-Match");
    case 413:
    case 415:
      return body;
    default:
      return true;
  }
}

json::object success(const Operation& operation, Schemas& replies) {
  json::object headers;
  headers["X-Request-ID"] = reference("headers", "X-Request-ID");
  if (has_header(operation, "If-Match")) headers["ETag"] = reference("headers", "ETag");
  if (takes_key(operation.info)) {
    headers["Idempotency-Replayed"] = reference("headers", "Idempotency-Replayed");
  }
  headers["RateLimit"] = reference("headers", "RateLimit");
  headers["RateLimit-Policy"] = reference("headers", "RateLimit-Policy");
  json::object out;
  if (operation.raw_reply) {
    out["description"] = "Done; the body is as its Content-Type says.";
    out["content"] = media("*/*", {});
  } else if (operation.reply_name.empty()) {
    out["description"] = "Done; there is no body.";
  } else {
    out["description"] = "Done.";
    out["content"] =
        media("application/json",
              component_ref(operation.reply_name, operation.reply_fields, nullptr, replies));
  }
  out["headers"] = std::move(headers);
  return out;
}

// A verdict that says no has the reply as its body; a credential that is none, a problem.
json::object refusal(const Operation& operation, int status, Schemas& replies) {
  json::object content =
      media("application/json",
            component_ref(operation.reply_name, operation.reply_fields, nullptr, replies));
  content[kProblemContentType] = Object().set("schema", reference("schemas", Problem::schema_name));
  json::object out;
  out["description"] = fmt::format("The reply says no, and so does the status {}.", status);
  out["content"] = std::move(content);
  return out;
}

json::object accepted(const Operation& operation, Schemas& replies) {
  json::object out = success(operation, replies);
  out["description"] =
      "Accepted: it is done as far as it can be while the record is away, and recorded later.";
  return out;
}

json::object responses(const Operation& operation, Schemas& replies) {
  const bool no_body = !operation.raw_reply && operation.reply_name.empty();
  json::object out;
  out[fmt::format("{}", no_body ? 204 : operation.info.status)] = success(operation, replies);
  if (operation.info.may_accept) out["202"] = accepted(operation, replies);
  for (const ProblemRow& row : kProblems) {
    if (!may_answer(operation, row.status)) continue;
    out[fmt::format("{}", row.status)] = reference("responses", row.name);
  }
  for (const int status : operation.info.refusals) {
    if (status != 0) out[fmt::format("{}", status)] = refusal(operation, status, replies);
  }
  out["default"] = reference("responses", "Problem");
  return out;
}

std::string access_text(const OperationInfo& info) {
  if (info.is_public) return "Needs no credential.";
  std::string out;
  if (info.home_tenant_only) {
    out = fmt::format("Needs an admin key of the tenant `{}`.", kHomeTenant);
  } else if (info.access == Access::admin) {
    out = "Needs an API key with role `admin`.";
  } else {
    out = fmt::format("Needs an API key with role `{}` and scope `{}`, or an admin key.",
                      info.access == Access::read ? "read_only` or `service" : "service",
                      area_name(info.area));
  }
  if (info.session_may) out += " A session token is enough for what is its own.";
  return out;
}

json::array security(const OperationInfo& info) {
  json::array out;
  if (info.is_public) return out;
  out.push_back(json::object(Object().set("apiKey", json::array())));
  if (info.session_may) out.push_back(json::object(Object().set("sessionToken", json::array())));
  return out;
}

json::object operation_object(const Operation& operation, Schemas& requests, Schemas& replies) {
  const OperationInfo& info = operation.info;
  json::array tags;
  tags.push_back(json::value(area_name(info.area)));
  std::string description(info.doc);
  if (!description.empty()) description += "\n\n";
  description += access_text(info);

  json::object out;
  out["tags"] = std::move(tags);
  out["summary"] = info.summary;
  out["description"] = description;
  out["operationId"] = info.id;
  out["security"] = security(info);
  json::array params = parameters(operation, requests);
  if (!params.empty()) out["parameters"] = std::move(params);
  set_request_body(out, operation, requests);
  out["responses"] = responses(operation, replies);
  return out;
}

// ---- Components ----
json::object parameter_components() {
  json::object schema =
      Object().set("type", "string").set("minLength", 1).set("maxLength", kIdempotencyKeyMax + 2);
  json::array examples;
  examples.push_back(json::value("\"8e03978e-40d5-43e8-bc93-6894a57f9324\""));
  schema["examples"] = std::move(examples);
  json::object key = Object()
                         .set("name", "Idempotency-Key")
                         .set("in", "header")
                         .set("description", kKeyDoc)
                         .set("schema", std::move(schema));
  return Object().set(kKeyParameter, std::move(key));
}

json::object header_components() {
  json::object out;
  for (const HeaderRow& row : kHeaders) {
    json::object schema = Object().set("type", row.type);
    if (row.type == "string") {
      json::array examples;
      examples.push_back(json::value(row.example));
      schema["examples"] = std::move(examples);
    }
    out[row.name] =
        json::object(Object().set("description", row.doc).set("schema", std::move(schema)));
  }
  return out;
}

json::object problem_response(std::string_view doc, std::string_view header) {
  json::object headers;
  headers["X-Request-ID"] = reference("headers", "X-Request-ID");
  if (!header.empty()) headers[header] = reference("headers", header);
  return Object()
      .set("description", doc)
      .set("headers", std::move(headers))
      .set("content", media(kProblemContentType, reference("schemas", Problem::schema_name)));
}

json::object response_components() {
  json::object out;
  for (const ProblemRow& row : kProblems) out[row.name] = problem_response(row.doc, row.header);
  out["Problem"] = problem_response("Anything else that went wrong.", {});
  return out;
}

json::object security_schemes(const Registry& registry) {
  const bool any_session =
      std::ranges::any_of(registry.all(), [](const Operation& o) { return o.info.session_may; });
  json::object out;
  out["apiKey"] = json::object(Object()
                                   .set("type", "http")
                                   .set("scheme", "bearer")
                                   .set("bearerFormat", "rdk_...")
                                   .set("description", "An API key of a tenant."));
  if (!any_session) return out;
  out["sessionToken"] = json::object(Object()
                                         .set("type", "http")
                                         .set("scheme", "bearer")
                                         .set("bearerFormat", "rds_...")
                                         .set("description", "The token of a session."));
  return out;
}

json::array tags_of(const Registry& registry) {
  json::array out;
  AreaSet seen = 0;
  for (const Operation& operation : registry.all()) {
    const auto area = static_cast<AreaSet>(operation.info.area);
    if ((seen & area) != 0) continue;
    seen |= area;
    const std::string_view name = area_name(operation.info.area);
    out.push_back(
        json::object(Object()
                         .set("name", name)
                         .set("description", fmt::format("Operations with scope `{}`.", name))));
  }
  return out;
}

json::object info_object(const OpenApiOptions& options) {
  json::object license = Object().set("name", "Apache-2.0").set("identifier", "Apache-2.0");
  json::object contact = Object().set("name", "The Redoubt project");
  return Object()
      .set("title", options.title)
      .set("version", options.version)
      .set("description", kAbout)
      .set("contact", std::move(contact))
      .set("license", std::move(license));
}

// Replies first: a request's schema steps aside when a reply has its name.
void add_replies(const Registry& registry, Schemas& replies) {
  component_ref(Problem::schema_name, fields_of<Problem>(), nullptr, replies);
  for (const Operation& operation : registry.all()) {
    if (operation.reply_name.empty()) continue;
    component_ref(operation.reply_name, operation.reply_fields, nullptr, replies);
  }
}

std::string lower(Method method) {
  std::string out(method_name(method));
  std::ranges::transform(out, out.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  return out;
}

}  // namespace

std::string openapi_document(const Registry& registry, const OpenApiOptions& options) {
  Schemas replies{.of_reply = true};
  add_replies(registry, replies);
  const json::object reply_names = replies.components;
  Schemas requests{.replies = &reply_names};

  json::object paths;
  for (const Operation& operation : registry.all()) {
    json::value& item = paths[operation.info.path];
    if (!item.is_object()) item.emplace_object();
    item.get_object()[lower(operation.info.method)] =
        operation_object(operation, requests, replies);
  }
  json::object schemas = std::move(replies.components);
  for (auto& component : requests.components) schemas[component.key()] = component.value();

  json::object components;
  components["schemas"] = std::move(schemas);
  components["parameters"] = parameter_components();
  components["headers"] = header_components();
  components["responses"] = response_components();
  components["securitySchemes"] = security_schemes(registry);

  json::object document;
  document["openapi"] = "3.1.0";
  document["info"] = info_object(options);
  document["servers"] = one(Object().set("url", options.server_url));
  document["tags"] = tags_of(registry);
  document["paths"] = std::move(paths);
  document["components"] = std::move(components);
  return to_json(document);
}

}  // namespace redoubt::operations
