// The vault: seals payloads under the key ring, and holds the pepper that credentials are hashed with.
//
// Key ring: TOKEN_ENCRYPTION_KEY, 64 hex digits or "kid:hex,kid:hex" (first is primary). From each key
// HKDF-SHA256 derives one XAES-256-GCM key per purpose and tenant.
// Envelope of a sealed payload:  0x01 | kid (4 bytes) | nonce (24) | ciphertext | tag (16)
// Associated data:               0x01 | kid | tenant | kind | record id | version, each length-prefixed,
// so a ciphertext moved to another row, tenant, kind or version does not open.
//
// The pepper is 32 random bytes made at first start and kept in the record, sealed by the ring. Lookup
// and authentication keys come from it, so rotating the ring re-seals it and no credential dies.
//
// Threads: any. Reload replaces the ring atomically.
#pragma once

#include "base/bytes.hpp"
#include "base/crypto.hpp"

#include <redoubt/random.hpp>
#include <redoubt/result.hpp>
#include <redoubt/secret.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

// 4 bytes derived from the key itself (HKDF "redoubt kid"), so that it names the key whatever the
// configuration calls it.
using KeyId = std::array<std::uint8_t, 4>;
std::string format_key_id(const KeyId& id);  // 8 hex digits

struct RingKey {
  KeyId id{};
  std::string label;  // The configuration's name for it; "" when it has none.
  Key256 key{};
};

// Parses TOKEN_ENCRYPTION_KEY. Errors: invalid_argument with the exact reason (wrong length, not hex,
// all bytes equal, a documented sample, duplicate key or label); never quotes the key.
Result<std::vector<RingKey>> parse_key_ring(const Secret& text);

struct SealedAs {          // What a payload is bound to.
  std::string_view tenant; // "" for the instance itself.
  std::string_view kind;   // "session", "pepper".
  ByteView record_id;
  std::int64_t version = 0;
};

class Vault {
 public:
  // REQUIRES: ring not empty.
  Vault(std::vector<RingKey> ring, Random& random);
  ~Vault();

  Bytes seal(const SealedAs& what, ByteView plaintext) const;
  // Errors: internal "sealed_payload_invalid" when it does not open, "key_missing" for an unknown kid.
  Result<Bytes> open(const SealedAs& what, ByteView envelope) const;

  static KeyId kid_of(ByteView envelope);  // Zeros when too short.
  KeyId primary() const;
  std::vector<RingKey> ring() const;       // Labels and ids; keys zeroed.
  bool has(const KeyId& id) const;
  void reload(std::vector<RingKey> ring);

  // Keyed hashes for credentials, one key per purpose ("session token", "api key"), from the pepper.
  // REQUIRES: set_pepper() was called.
  void set_pepper(const Key256& pepper);
  HmacSha256 credential_hash(std::string_view purpose) const;
  // For per-process maps of verified credentials (siphash128); random per start.
  std::array<std::uint64_t, 2> process_key() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace redoubt
