// Rows whose payload is sealed by the vault, and can be sealed again under another key. Each noun
// that seals payloads implements this; the key ring's rotation drives them in the background.
//
// Threads: any; the work is done through the record.
#pragma once

#include "base/vault.hpp"

#include <redoubt/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::record {

struct ResealProgress {
  std::int64_t resealed = 0;  // Rows sealed again by this call.
  bool done = false;          // No row is left under another key than the primary.
};

class Resealable {
 public:
  virtual ~Resealable() = default;

  // Of the noun, for progress and log lines: "sessions", "pepper". Static storage.
  virtual std::string_view name() const = 0;

  // Seals at most `batch` rows that are under another key than `primary` again, under `primary`, in
  // one transaction. A row changed meanwhile is left to the next call. Errors: those of the record;
  // internal "key_missing" when a row's key is not in the ring.
  virtual Task<ResealProgress> reseal_some(KeyId primary, std::size_t batch) = 0;

  // How many rows are sealed under `id`.
  virtual Task<std::int64_t> rows_needing(KeyId id) = 0;
};

}  // namespace redoubt::record
