// Invalidations that the record does not have (yet): those that this process accepted while it
// could not be written, and those that other processes accepted and told of over the shared tier.
//
// Both take effect here at once: a bump of this process alone (Generations::kHere) for what is in
// memory, and no copy in the shared tier that answers to them is adopted while they are held. Our
// own are held until they are written (unsaved_invalidations.hpp), those of others for kToldFor
// after they were last told, and they are told again every kTellAgain while they are not written.
//
// What is told costs needless misses and nothing else: lost, a process goes on until the next time
// or until the record has it; forged or doubled, entries are filled anew and copies not adopted for
// that long. It is never written into the record by who was told.
//
// A message is of one tenant, and bounded in bytes: more names than fit are everything of the
// tenant.
//
// Threads: any. While nothing is held, a question costs two loads.
#pragma once

#include "base/metrics.hpp"
#include "services/cache/held_names.hpp"
#include "services/cache/tenant_cache.hpp"
#include "services/cache/unsaved_invalidations.hpp"

#include <redoubt/clock.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

class BestEffort {
 public:
  static constexpr Duration kTellAgain{5'000};
  static constexpr Duration kToldFor{20'000};
  static constexpr std::size_t kMessageMax = 16'384;
  static constexpr std::size_t kToldMax = 4'096;  // Names that are held because of others.

  BestEffort(TenantCaches& tenants, const Clock& clock, Metrics& metrics)
      : tenants_(tenants),
        clock_(clock),
        unsaved_(metrics),
        accepted_(metrics.counter(
            "redoubt_cache_invalidations_best_effort_total",
            "Invalidations accepted while the record was away, to be recorded later.")) {}

  // `audit`: whose it is. False: no room to hold it; nothing was done.
  bool accept(std::span<const std::string> names, const record::AuditEvent& audit);
  UnsavedInvalidations& unsaved() { return unsaved_; }

  // What other processes are to hear now. One thread.
  std::vector<std::string> messages();
  // What one of them said. What is no message is ignored.
  void hear(std::string_view message);

  // A copy that answers to such names is not to be adopted. REQUIRES: whoever adopts one has read
  // the stamp that it is to have before this: then it is one from before the bump, or this says so.
  bool covers(std::string_view tenant, std::string_view key,
              const std::vector<std::string>& tags) const {
    return unsaved_.cover(tenant, key, tags) || (told_count_.load() > 0 && told(tenant, key, tags));
  }

 private:
  struct Told {
    BootTime until{};
    void absorb(Told&& other) { until = std::max(until, other.until); }
  };

  bool told(std::string_view tenant, std::string_view key,
            const std::vector<std::string>& tags) const;
  // True: it was not held before.
  bool hold_told(std::string_view tenant, std::string_view name, BootTime now);
  void forget_told(BootTime now);

  TenantCaches& tenants_;
  const Clock& clock_;
  UnsavedInvalidations unsaved_;
  Counter& accepted_;
  BootTime tell_again_{0};
  mutable std::shared_mutex mutex_;  // Guards told_.
  HeldNames<Told> told_{kToldMax};
  std::atomic<std::size_t> told_count_{0};
};

}  // namespace redoubt::cache
