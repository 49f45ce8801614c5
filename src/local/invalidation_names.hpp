// What local copies depend on, by name: the one place where the names of Invalidations are made, so
// that whoever bumps a counter and whoever checks it cannot disagree. Each kind has its own prefix
// and segments are length-prefixed: no id of one kind can spell the name of another.
#pragma once

#include <string>
#include <string_view>

namespace redoubt::local::invalidation {

namespace detail {
inline void append_segment(std::string& out, std::string_view segment) {
  out += std::to_string(segment.size());
  out += ':';
  out += segment;
}
inline std::string name(std::string_view kind, std::string_view a, std::string_view b) {
  std::string out;
  out.reserve(kind.size() + a.size() + b.size() + 12);
  out += kind;
  append_segment(out, a);
  append_segment(out, b);
  return out;
}
}  // namespace detail

// One session changed or ended.
inline std::string session(std::string_view tenant, std::string_view id) {
  return detail::name("session/", tenant, id);
}

// All sessions of a user changed or ended.
inline std::string user(std::string_view tenant, std::string_view user_id) {
  return detail::name("user/", tenant, user_id);
}

// The tenant was disabled or enabled.
inline std::string tenant(std::string_view tenant_id) {
  return detail::name("tenant/", tenant_id, {});
}

// One API key changed or ended. Key ids are unique across tenants.
inline std::string api_key(std::string_view id) {
  return detail::name("api_key/", id, {});
}

}  // namespace redoubt::local::invalidation
