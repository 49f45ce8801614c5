#include "services/cache/best_effort.hpp"

#include "services/cache/told_message.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace redoubt::cache {

bool BestEffort::accept(std::span<const std::string> names, const record::AuditEvent& audit) {
  // Held before it is bumped: see covers().
  for (const std::string& name : names) {
    if (!unsaved_.add({audit.tenant, name, audit})) return false;
  }
  accepted_.add();
  TenantCache* const tenant = tenants_.find(audit.tenant);
  if (tenant == nullptr) return true;  // Nothing is in memory.
  for (const std::string& name : names) tenant->generations.bump(name, Generations::kHere);
  return true;
}

// ---- Between processes ----

std::vector<std::string> BestEffort::messages() {
  std::vector<std::string> messages;
  const auto add = [&](const std::vector<UnsavedInvalidations::OfTenant>& list, bool again) {
    for (const UnsavedInvalidations::OfTenant& of : list) {
      messages.push_back(write_told({of.tenant, of.names, again}, kMessageMax));
    }
  };
  add(unsaved_.take_untold(), false);
  const BootTime now = clock_.boot();
  if (now < tell_again_) return messages;
  tell_again_ = now + kTellAgain;
  add(unsaved_.told_twice(), true);
  // As news once more: where the name is held, a repetition does nothing, and the first may be lost.
  add(unsaved_.take_told_once(), false);
  forget_told(now);
  return messages;
}

void BestEffort::hear(std::string_view message) {
  const auto told = read_told(message, kMessageMax);
  if (!told) return;
  const BootTime now = clock_.boot();
  for (const std::string& name : told->names) {
    const bool is_new = hold_told(told->tenant, name, now);
    // Held before it is looked for and bumped: see covers().
    TenantCache* const tenant = tenants_.find(told->tenant);
    if (tenant == nullptr || (told->again && !is_new)) continue;
    // The other half is for what is recorded: without room, that would be widened for everybody.
    const bool widens =
        tenant->generations.would_overflow(Generations::kNamesMax / 2, Generations::kGlobsMax / 2);
    tenant->generations.bump(widens ? std::string_view() : name, Generations::kHere);
  }
}

bool BestEffort::hold_told(std::string_view tenant, std::string_view name, BootTime now) {
  const std::lock_guard lock(mutex_);
  const auto holds = [&](std::string_view held) {
    const Told* const known = told_.find(tenant, held);
    return known != nullptr && now < known->until;
  };
  const bool is_new = !holds(name) && !holds({});
  static_cast<void>(told_.put(tenant, name, {now + kToldFor}));
  told_count_ = told_.size();
  return is_new;
}

void BestEffort::forget_told(BootTime now) {
  const std::lock_guard lock(mutex_);
  told_.erase_if([now](const Told& told) { return told.until <= now; });
  told_count_ = told_.size();
}

bool BestEffort::told(std::string_view tenant, std::string_view key,
                      const std::vector<std::string>& tags) const {
  const BootTime now = clock_.boot();
  const std::shared_lock lock(mutex_);
  return told_.any(tenant, key, tags, [now](const Told& told) { return now < told.until; });
}

}  // namespace redoubt::cache
