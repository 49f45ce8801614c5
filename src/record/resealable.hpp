// Rows whose payload is sealed by the vault, and can be sealed again under another key. Each noun
// that seals payloads implements this; the key ring's rotation drives them in the background.
//
// Threads: any; the work is done through the record.
#pragma once

#include "base/bytes.hpp"
#include "base/vault.hpp"

#include <redoubt/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

// Some rows under one key, in the noun's own order, which is the same in every call.
struct ResealStep {
  KeyId under{};
  KeyId primary{};
  Bytes after;            // The `last` of the step before; empty: from the beginning.
  std::size_t batch = 0;  // Rows at most.
};

struct ResealProgress {
  std::int64_t resealed = 0;    // Rows sealed again by this call.
  std::int64_t unreadable = 0;  // Rows that do not open: passed by, as they are.
  std::string example;          // Names one of those.
  Bytes last;                   // Where the next step goes on.
  bool done = false;            // No row comes after `last`.
};

class Resealable {
 public:
  virtual ~Resealable() = default;

  // Of the noun, for progress and log lines: "sessions", "pepper". Static storage.
  virtual std::string_view name() const = 0;

  // Seals the rows of a step again under the primary, in one transaction. A row changed meanwhile
  // is left to the next pass. Errors: those of the record.
  virtual Task<ResealProgress> reseal_some(ResealStep step) = 0;

  // The keys that rows say they are sealed under, whether the ring knows them or not.
  virtual Task<std::vector<KeyId>> keys_in_use() = 0;

  // How many rows are sealed under `id`.
  virtual Task<std::int64_t> rows_needing(KeyId id) = 0;
};

}  // namespace redoubt::record
