#include "operations/operation.hpp"

#include "base/append.hpp"
#include "base/assert.hpp"
#include "base/json.hpp"
#include "operations/path_template.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::operations {
namespace {

constexpr std::size_t kFieldsMax = 64;

Unexpected deny(std::string slug, std::string message) {
  return fail(Error(Errc::permission_denied, std::move(slug), std::move(message)));
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::none:
      return "none";
    case Role::read_only:
      return "read_only";
    case Role::service:
      return "service";
    case Role::admin:
      return "admin";
  }
  return "none";
}

Role least_role(Access access) {
  switch (access) {
    case Access::read:
      return Role::read_only;
    case Access::write:
      return Role::service;
    case Access::admin:
      return Role::admin;
  }
  return Role::admin;
}

Result<void> authorize_key(const OperationInfo& info, const Caller& caller) {
  const Role needed = info.home_tenant_only ? Role::admin : least_role(info.access);
  if (caller.role < needed) {
    return deny("role_missing",
                fmt::format("{} needs an API key with role {}; this one has role {}", info.id,
                            role_name(needed), role_name(caller.role)));
  }
  if (info.home_tenant_only && caller.tenant != kHomeTenant) {
    return deny(
        "home_tenant_only",
        fmt::format("{} concerns the whole instance and needs an admin key of the tenant {}",
                    info.id, kHomeTenant));
  }
  if (caller.role == Role::admin) return {};  // An admin may do everything in its tenant.
  if ((caller.areas & static_cast<AreaSet>(info.area)) == 0) {
    return deny("scope_missing",
                fmt::format("{} needs an API key with scope {}", info.id, area_name(info.area)));
  }
  return {};
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

// Without an early end, so that the compiler checks many bytes at a time.
bool has_control(std::string_view text) {
  unsigned found = 0;
  for (const char c : text) found |= static_cast<unsigned>(is_control(c));
  return found != 0;
}

void append_header_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (is_control(c)) {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

void check_path_fields(const Operation& operation) {
  std::size_t in_path_fields = 0;
  for (const FieldInfo& field : operation.request_fields) {
    if (field.where == Where::path) ++in_path_fields;
  }
  std::size_t parameters = 0;
  for (const std::string_view segment : template_segments(operation.info.path)) {
    const std::string_view name = parameter_name(segment);
    if (name.empty()) continue;
    ++parameters;
    const bool declared = std::ranges::any_of(operation.request_fields, [&](const FieldInfo& f) {
      return f.where == Where::path && f.name == name;
    });
    RD_ASSERT(declared, fmt::format("{}: {{{}}} is not a path field", operation.info.id, name));
  }
  RD_ASSERT(parameters == in_path_fields,
            fmt::format("{}: a path field is not in {}", operation.info.id, operation.info.path));
}

void check_body_fields(const Operation& operation) {
  std::size_t raw = 0;
  std::size_t body = 0;
  for (const FieldInfo& field : operation.request_fields) {
    raw += field.where == Where::raw_body ? 1 : 0;
    body += field.where == Where::body ? 1 : 0;
  }
  RD_ASSERT(raw == 0 || (raw == 1 && body == 0),
            fmt::format("{}: a raw body is the whole body", operation.info.id));
}

}  // namespace

std::string_view method_name(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
  }
  return "GET";
}

std::string_view area_name(Area area) {
  switch (area) {
    case Area::sessions:
      return "sessions";
    case Area::limits:
      return "limits";
    case Area::cache:
      return "cache";
    case Area::gate:
      return "gate";
    case Area::tenants:
      return "tenants";
    case Area::keyring:
      return "keyring";
    case Area::audit:
      return "audit";
    case Area::health:
      return "health";
    case Area::redis:
      return "redis";
  }
  return "none";
}

Result<void> authorize(const OperationInfo& info, const Caller& caller) {
  if (info.is_public) return {};
  switch (caller.kind) {
    case Caller::Kind::anonymous:
      return fail(unauthenticated("credential_missing",
                                  "this needs a credential: Authorization: Bearer <API key>"));
    case Caller::Kind::session:
      if (info.session_may) return {};
      return deny("role_missing",
                  fmt::format("{} needs an API key with role {}; a session token is not enough",
                              info.id, role_name(least_role(info.access))));
    case Caller::Kind::api_key:
      return authorize_key(info, caller);
    case Caller::Kind::system:
      return {};
  }
  return fail(internal("a caller of no kind"));
}

void OperationOutput::add_header(HeaderName name, std::string_view value) {
  if (!has_control(value)) return append_parts(headers, name.text(), ": ", value, "\r\n");
  append_parts(headers, name.text(), ": ");
  append_header_value(headers, value);
  headers += "\r\n";
}

void OperationOutput::add_header(HeaderName name, std::int64_t value) {
  const fmt::format_int digits(value);
  append_parts(headers, name.text(), ": ", std::string_view(digits.data(), digits.size()), "\r\n");
}

void OperationOutput::clear() {
  status = 200;
  content_type = "application/json";
  content_type_storage.clear();
  body.clear();
  headers.clear();
  error.reset();
  request.reset();
}

const Operation* Registry::find(std::string_view id) const {
  const auto found =
      std::ranges::find(operations_, id, [](const Operation& o) { return o.info.id; });
  return found == operations_.end() ? nullptr : &*found;
}

void Registry::check_waiting(const OperationInfo& info, bool waits, bool answers_now) {
  RD_ASSERT(!waits || (info.access != Access::read && !answers_now),
            fmt::format("{}: only what changes something has others to wait for", info.id));
}

void Registry::check_reply(const OperationInfo& info, bool made) {
  RD_ASSERT(made, fmt::format("{}: does not say how its reply is made", info.id));
}

void Registry::add_checked(Operation operation) {
  const OperationInfo& info = operation.info;
  RD_ASSERT(find(info.id) == nullptr, fmt::format("operation {} is declared twice", info.id));
  RD_ASSERT(operation.request_fields.size() <= kFieldsMax, "too many fields in one struct");
  for (const Operation& other : operations_) {
    RD_ASSERT(other.info.method != info.method || !same_shape(other.info.path, info.path),
              fmt::format("{} and {} answer the same requests", other.info.id, info.id));
  }
  check_path_fields(operation);
  check_body_fields(operation);
  operations_.push_back(std::move(operation));
}

}  // namespace redoubt::operations
