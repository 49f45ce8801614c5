// The stateless form of a session token (SESSION_STORAGE=token): the whole session, sealed.
//
//   rdt_ | base64url of a vault envelope | _ | 6 base62 digits of the CRC-32 of all before it
//
// Nothing is kept, so nothing can be changed: a sealed token lives for a fixed time and ends early
// only with all the others of its user, when the user's epoch moves on.
//
// Threads: any.
#pragma once

#include "base/ids.hpp"
#include "base/vault.hpp"

#include <redoubt/sessions.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace redoubt::sessions {

inline constexpr std::string_view kSealedTokenPrefix = "rdt_";

// A token travels in a header of every request, and servers cut those at 8 KiB.
inline constexpr std::size_t kSealedDataMax = 2048;
inline constexpr std::size_t kSealedTokenMax = 6144;

struct SealedToken {
  Session session;
  std::int64_t user_epoch = 0;  // Both as they were when it was made.
  std::int64_t tenant_epoch = 0;
};

struct WrittenToken {
  std::string text;
  KeyId key{};  // That it is sealed under.
};
WrittenToken write_sealed_token(const Vault& vault, const SealedToken& sealed);

// Empty unless `token` was written under a key of the ring, to the bit.
std::optional<SealedToken> open_sealed_token(const Vault& vault, std::string_view token);

}  // namespace redoubt::sessions
