// The key ring's life: checked at start, rotated and reloaded while requests run, and the rows of
// every noun sealed again in the background.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"
#include "services/keys/ring_source.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/keys.hpp>
#include <redoubt/random.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace redoubt::keys {

// What the composition root needs beside the contract. One per process.
class KeyRing : public EncryptionKeys {
 public:
  // Before start(). `rows` outlives this.
  virtual void add(record::Resealable& rows) = 0;

  // Opens the pepper and checks that every key that rows need is in the ring.
  // Errors: conflict "key_needed" naming the missing keys and their rows.
  virtual Task<void> start() = 0;

  // Takes up what the source holds now (SIGHUP). A ring that lacks a needed key is refused and the
  // old one stays. Errors: those of rotate(), except that nothing new is not an error.
  virtual Task<void> reload() = 0;

  // Seals at most `batch` rows of each noun again (services/keys/resealing.hpp). True: there is
  // more; call again soon. One run at a time.
  virtual Task<bool> run_once(std::size_t batch) = 0;
};

struct KeyRingParts {
  RingSource& source;
  record::Record& record;
  Vault& vault;  // Made from source.load().
  const Clock& clock;
  Random& random;
  Log& log;
  Metrics& metrics;
  bool sealed_tokens = false;  // SESSION_STORAGE=token: tokens that no row shows are accepted.
};

std::unique_ptr<KeyRing> make_key_ring(const KeyRingParts& parts);

}  // namespace redoubt::keys
