// A session as its copy in the shared tier has it. The row and its data, sealed as one and bound to
// the id and version: who can write to Redis can neither read, forge nor change a session, only put
// an old copy back, and that is what the era inside is for.
//
//   outside   layout (1) | tenant | envelope (base/vault.hpp)
//   inside    layout (1) | era | verifier (32) | created | absolute expiry | idle lifetime, ms
//             | last seen (8 each) | user, agent, device, address, data
//
// The tenant stands outside because the seal's key is the tenant's own; it is bound by the seal.
#pragma once

#include "base/vault.hpp"
#include "record/session_rows.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::sessions {

struct SessionCopy {
  record::SessionRow row;  // Without its sealed data; never revoked, of a tenant that stands.
  std::string data;        // In the clear.
  std::int64_t era = 0;    // shared/eras.hpp
};

std::string seal_copy(const Vault& vault, const SessionCopy& copy);

// Empty for whatever was not sealed as the copy of that session and version.
std::optional<SessionCopy> open_copy(const Vault& vault, const Id128& id, std::int64_t version,
                                     std::string_view bytes);

// What is inside the seal.
Bytes pack_copy(const SessionCopy& copy);
std::optional<SessionCopy> unpack_copy(ByteView bytes);

}  // namespace redoubt::sessions
