// Encryption keys: the key ring that seals what the record keeps, and its rotation while requests
// run.
//
// The first key of the ring is the primary: everything is sealed under it. The others only open. A
// rotation makes another key the primary and then seals the old rows again in the background; a key
// may leave the ring when nothing needs it: no row, and no session token that carries itself. A
// ring that lacks a needed key is refused, at start and at reload, with the key's id and what for.
//
// Threads: any.
// Errors: every function may return unavailable; the rest are listed per function.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace redoubt {

// Where the ring comes from, which decides what rotate() can do.
enum class KeyRingSource : std::uint8_t {
  setting,  // TOKEN_ENCRYPTION_KEY, or the file that TOKEN_ENCRYPTION_KEY_FILE names.
  file,     // Made at first start in the data directory; development mode only.
};

struct EncryptionKey {
  std::string id;     // 8 hex digits, derived from the key itself.
  std::string label;  // The configuration's name for it; may be empty.
  bool primary = false;
  std::int64_t rows = 0;  // Sealed under it now.
  // Session tokens without a row may be sealed under it and good until then: never too early, and
  // up to a quarter of an hour too late.
  std::optional<WallTime> sealed_until;
};

struct KeyRingStatus {
  KeyRingSource source = KeyRingSource::setting;
  std::vector<EncryptionKey> keys;  // In the order of the ring; the first is the primary.
  bool resealing = false;           // Rows under other keys are being sealed again.
  std::int64_t resealed = 0;        // Rows sealed again since this rotation began.
  std::int64_t remaining = 0;       // Rows under other keys that are still to be sealed again.
  std::int64_t unreadable = 0;      // Rows under other keys that do not open and were passed by.
  std::string trouble;              // Why it does not progress, or what it has passed by.
};

class EncryptionKeys {
 public:
  virtual ~EncryptionKeys() = default;

  // One count per key and sealed noun.
  virtual Task<KeyRingStatus> status(const Context& context) = 0;

  // Makes a new key the primary and starts re-sealing. With KeyRingSource::file the key is made
  // here; with a setting it must already stand first there. One commit. conflict "rotation_running"
  // while rows of the last rotation remain, "nothing_to_rotate_to" when the setting has no new
  // primary (the message says how to provide one), "key_needed" when a key that rows need has left
  // the setting; invalid_argument when the setting does not parse.
  virtual Task<KeyRingStatus> rotate(const Context& context) = 0;
};

}  // namespace redoubt
