#include "services/cache/unsaved_invalidations.hpp"

#include "services/cache/units.hpp"

#include <functional>
#include <mutex>
#include <utility>

namespace redoubt::cache {
namespace {

// So that other writers never wait long for them.
constexpr std::size_t kInvalidationsPerUnit = 64;

Task<std::int64_t> save_unit(record::Unit& unit, const std::vector<UnsavedInvalidation>& some,
                             WallTime now) {
  for (const UnsavedInvalidation& one : some) {
    std::vector<std::string> names(1, one.name);
    RD_CO_CHECK(co_await bump_unit(unit, std::move(names), one.audit, now));
  }
  co_return static_cast<std::int64_t>(some.size());
}

}  // namespace

UnsavedInvalidations::UnsavedInvalidations(Metrics& metrics, std::size_t max)
    : gauge_(metrics.gauge("redoubt_cache_invalidations_unsaved",
                           "Names invalidated in this process that are not recorded yet.")),
      held_(max) {}

void UnsavedInvalidations::recount() {
  count_.store(held_.size(), std::memory_order_release);
  gauge_.set(static_cast<double>(held_.size()));
}

bool UnsavedInvalidations::add(UnsavedInvalidation invalidation) {
  const std::lock_guard lock(mutex_);
  Value value;
  value.audit = std::move(invalidation.audit);
  const bool added = held_.put(invalidation.tenant, invalidation.name, std::move(value)) != nullptr;
  untold_ = untold_ || added;
  recount();
  return added;
}

bool UnsavedInvalidations::covered(std::string_view tenant, std::string_view key,
                                   const std::vector<std::string>& tags) const {
  const std::shared_lock lock(mutex_);
  return held_.any(tenant, key, tags, [](const Value&) { return true; });
}

std::vector<UnsavedInvalidation> UnsavedInvalidations::take(std::size_t max) {
  const std::lock_guard lock(mutex_);
  std::vector<UnsavedInvalidation> taken;
  const std::uint64_t take = ++takes_;
  for (auto& [tenant, names] : held_.tenants()) {
    for (auto& [name, value] : names) {
      if (taken.size() == max) return taken;
      if (value.taken != 0) continue;
      value.taken = take;
      taken.push_back({tenant, name, value.audit, take});
    }
  }
  return taken;
}

// One that was added again meanwhile stays, and is written again.
void UnsavedInvalidations::saved(const std::vector<UnsavedInvalidation>& invalidations) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedInvalidation& one : invalidations) {
    held_.erase(one.tenant, one.name,
                [&one](const Value& value) { return value.taken == one.taken; });
  }
  recount();
}

void UnsavedInvalidations::put_back(const std::vector<UnsavedInvalidation>& invalidations) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedInvalidation& one : invalidations) {
    Value* const known = held_.find(one.tenant, one.name);
    if (known != nullptr && known->taken == one.taken) known->taken = 0;
  }
}

// REQUIRES: the lock.
template <class Wanted>
std::vector<UnsavedInvalidations::OfTenant> UnsavedInvalidations::list(Wanted&& wanted) {
  std::vector<OfTenant> listed;
  for (auto& [tenant, names] : held_.tenants()) {
    OfTenant of{tenant, {}};
    for (auto& [name, value] : names) {
      if (wanted(value)) of.names.push_back(name);
    }
    if (!of.names.empty()) listed.push_back(std::move(of));
  }
  return listed;
}

std::vector<UnsavedInvalidations::OfTenant> UnsavedInvalidations::take_untold() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(untold_, false)) return {};
  return take_told(0);
}

std::vector<UnsavedInvalidations::OfTenant> UnsavedInvalidations::take_told_once() {
  const std::lock_guard lock(mutex_);
  return take_told(1);
}

// REQUIRES: the lock.
std::vector<UnsavedInvalidations::OfTenant> UnsavedInvalidations::take_told(std::uint8_t times) {
  return list([times](Value& value) {
    if (value.told != times) return false;
    ++value.told;
    return true;
  });
}

std::vector<UnsavedInvalidations::OfTenant> UnsavedInvalidations::told_twice() {
  const std::lock_guard lock(mutex_);
  return list([](const Value& value) { return value.told == 2; });
}

Task<void> save_invalidations(record::Record& record, const Clock& clock, Log& log,
                              UnsavedInvalidations& unsaved) {
  for (;;) {
    const std::vector<UnsavedInvalidation> some = unsaved.take(kInvalidationsPerUnit);
    if (some.empty()) co_return Result<void>{};
    // Now, not when it was accepted: copies that were stored in between have not seen it.
    const WallTime now = clock.wall();
    std::function<Task<std::int64_t>(record::Unit&)> work = [&some, now](record::Unit& unit) {
      return save_unit(unit, some, now);
    };
    auto written = co_await record.write(std::move(work));
    if (!written) {
      unsaved.put_back(some);
      co_return fail(std::move(written).error());
    }
    unsaved.saved(some);
    log.info("cache.invalidations_saved", {{"count", some.size()}});
  }
}

}  // namespace redoubt::cache
