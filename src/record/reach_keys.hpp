// The names of what units reach (Reach::keys), made in one place: two units that touch the same
// thing must spell it alike. Segments are length-prefixed: no id can spell another's name.
//
//   user       all sessions of a user: creating, rotating, ending all. What is done to one session
//              besides (an update, its end) needs the session alone: both orders come out the same.
//   session    one session.
//   api_keys   the API keys of a tenant that end: one of them may have to stay.
//   api_key    one that is made.
//   api_key_uses  when keys were last used.
//   limit      one strict limit of one subject.
//   cache      the generations of a tenant's cache.
//   idempotency  the answer under one idempotency key.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace redoubt::record::reach {

namespace detail {
inline std::string name(std::string_view kind, std::initializer_list<std::string_view> segments) {
  std::string out(kind);
  for (const std::string_view segment : segments) {
    out += '/';
    out += std::to_string(segment.size());
    out += ':';
    out += segment;
  }
  return out;
}
}  // namespace detail

inline std::string user(std::string_view tenant, std::string_view user_id) {
  return detail::name("user", {tenant, user_id});
}
inline std::string session(const Id128& id) {
  return detail::name("session", {to_hex(id)});
}
inline std::string api_keys(std::string_view tenant) {
  return detail::name("api_keys", {tenant});
}
inline std::string api_key(std::string_view id) {
  return detail::name("api_key", {id});
}
inline std::string api_key_uses() {
  return "api_key_uses";
}
inline std::string limit(std::string_view tenant, std::string_view policy,
                         std::string_view subject) {
  return detail::name("limit", {tenant, policy, subject});
}
inline std::string cache(std::string_view tenant) {
  return detail::name("cache", {tenant});
}

inline std::string idempotency(const Id128& id) {
  return detail::name("idempotency", {to_hex(id)});
}

}  // namespace redoubt::record::reach
