// Who is asking, and on behalf of which request. Made at the edge from a verified credential and
// passed as the first argument of everything. There is no other way to name a tenant.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/downgrades.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt {

enum class Role : std::uint8_t {
  none,       // Not an API key: a session acts for its user through operations that allow it.
  read_only,  // Reads in its scopes.
  service,    // Reads and writes in its scopes.
  admin,      // Everything in its tenant; instance-wide operations from the home tenant.
};

// The areas an API key's scopes are made of. A set is a bit mask of them.
enum class Area : std::uint32_t {
  sessions = 1 << 0,
  limits = 1 << 1,
  cache = 1 << 2,
  gate = 1 << 3,
  tenants = 1 << 4,   // Tenants and their API keys.
  keyring = 1 << 5,   // Encryption keys: status, rotation.
  audit = 1 << 6,
  health = 1 << 7,    // Diagnostics beyond the public health paths.
  redis = 1 << 8,     // Redis commands over the Upstash protocol.
};
using AreaSet = std::uint32_t;
inline constexpr AreaSet kAllAreas = ~AreaSet{0};

// The tenant made at first start; its admins run the instance.
inline constexpr std::string_view kHomeTenant = "default";

struct Caller {
  enum class Kind : std::uint8_t { anonymous, api_key, session, system };

  Kind kind = Kind::anonymous;
  Role role = Role::none;
  AreaSet areas = 0;
  std::string tenant;      // Empty only for anonymous.
  std::string principal;   // "key:<id>", "user:<id>", "system:<part>".
  std::string session_id;  // Only for Kind::session.
  std::string user;        // Only for Kind::session.
  bool by_grace = false;   // Verified by a copy while the record was away.
};

struct VerifiedSession;  // redoubt/sessions.hpp
namespace record {
class AnswerKeeper;  // record/answer_keeper.hpp
}

struct Context {
  const Caller& caller;             // Outlives the call.
  std::string_view request_id;      // Outlives the call.
  std::string_view client_address;  // Textual IP, already resolved through trusted proxies.
  std::string_view user_agent;
  const VerifiedSession* session = nullptr;  // Set when the credential is a session token.
  BootTime deadline{INT64_MAX};     // Work that has not started by then is dropped.
  Downgrades* downgrades = nullptr;  // Of the answer; null: nobody is told.
  record::AnswerKeeper* keeper = nullptr;  // Of a request with an idempotency key.

  void note(Downgrade downgrade) const {
    if (downgrades != nullptr) downgrades->note(downgrade);
  }
};

}  // namespace redoubt
