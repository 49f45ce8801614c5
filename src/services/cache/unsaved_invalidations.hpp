// Invalidations that were accepted at best effort while the record could not be written: they hold
// in this process until they are written.
//
// Copies in the shared tier speak by the generations that the record gives, and it has given none
// to these: so no copy that answers to one of them is adopted meanwhile. Memory needs nothing more
// than the bump that it had when they were accepted.
//
// Bounded: beyond `max` names the tenant that has the most has everything invalidated instead; when
// that makes no room either, nothing is held, and whoever asked is told so (503). What is here when
// the process ends is lost, as whoever asked was told (202): why it is in no file,
// services/sessions/unsaved_ends.hpp says.
//
// Threads: any. While there are none, a question costs one load.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"
#include "services/cache/held_names.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

struct UnsavedInvalidation {
  std::string tenant;
  std::string name;  // As in names.hpp.
  record::AuditEvent audit;
  std::uint64_t taken = 0;  // By which take().
};

class UnsavedInvalidations {
 public:
  explicit UnsavedInvalidations(Metrics& metrics, std::size_t max = 4'096);

  // One that is known already is written and told again. False: no room.
  bool add(UnsavedInvalidation invalidation);

  // Whether an entry of these names answers to one of them.
  bool cover(std::string_view tenant, std::string_view key,
             const std::vector<std::string>& tags) const {
    return count_.load(std::memory_order_acquire) > 0 && covered(tenant, key, tags);
  }

  // At most `max` that nobody else is about to write. Each comes back by saved() or put_back().
  std::vector<UnsavedInvalidation> take(std::size_t max);
  // REQUIRES: the journal has announced them, so that no copy is older.
  void saved(const std::vector<UnsavedInvalidation>& invalidations);
  void put_back(const std::vector<UnsavedInvalidation>& invalidations);

  struct OfTenant {
    std::string tenant;
    std::vector<std::string> names;
  };
  // What was added since the last call,
  std::vector<OfTenant> take_untold();
  // what that has given since the last call of this,
  std::vector<OfTenant> take_told_once();
  // and what this has given.
  std::vector<OfTenant> told_twice();

 private:
  struct Value {
    record::AuditEvent audit;
    std::uint64_t taken = 0;  // By the writer of that number; 0: by nobody.
    std::uint8_t told = 0;    // How often, up to 2.
    void absorb(Value&& other) { audit = std::move(other.audit); }
  };

  bool covered(std::string_view tenant, std::string_view key,
               const std::vector<std::string>& tags) const;
  template <class Wanted>
  std::vector<OfTenant> list(Wanted&& wanted);
  std::vector<OfTenant> take_told(std::uint8_t times);
  void recount();

  Gauge& gauge_;
  mutable std::shared_mutex mutex_;
  HeldNames<Value> held_;
  bool untold_ = false;
  std::uint64_t takes_ = 0;
  std::atomic<std::size_t> count_{0};
};

// Writes them. Errors: those of the record.
Task<void> save_invalidations(record::Record& record, const Clock& clock, Log& log,
                              UnsavedInvalidations& unsaved);

}  // namespace redoubt::cache
