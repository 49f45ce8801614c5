#include "services/tenants/verified_keys.hpp"

#include <iterator>
#include <utility>

namespace redoubt::tenants {
namespace {

constexpr std::size_t kEntriesMax = 4096;
constexpr std::size_t kUsesMax = 8192;
constexpr Duration kUseInterval{60'000};

}  // namespace

VerifiedKeys::VerifiedKeys(const local::Invalidations& invalidations,
                           std::array<std::uint64_t, 2> hash_key)
    : invalidations_(invalidations), hash_key_{.k0 = hash_key[0], .k1 = hash_key[1]} {}

bool VerifiedKeys::good(const Entry& entry, WallTime now) const {
  return invalidations_.stamp_of(entry.stamps.key_slot) == entry.stamps.key &&
         invalidations_.stamp_of(entry.stamps.tenant_slot) == entry.stamps.tenant &&
         (!entry.expires_at || now < *entry.expires_at);
}

const CallerPtr* VerifiedKeys::find(std::string_view token, WallTime now) {
  const auto found = entries_.find(siphash128(hash_key_, token));
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (!good(entry, now)) {
    entries_.erase(found);
    return nullptr;
  }
  if (now - entry.noted_use >= kUseInterval && uses_.size() < kUsesMax) {
    entry.noted_use = now;
    uses_.push_back({entry.id, now});
  }
  return &entry.caller;
}

void VerifiedKeys::keep(std::string_view token, const ApiKey& key, CallerPtr caller,
                        const KeyStamps& stamps, WallTime now) {
  if (entries_.size() >= kEntriesMax) make_room(now);
  Entry entry;
  entry.caller = std::move(caller);
  entry.id = key.id;
  entry.stamps = stamps;
  entry.expires_at = key.expires_at;
  entry.noted_use = key.last_used_at.value_or(WallTime{});
  entries_.insert_or_assign(siphash128(hash_key_, token), std::move(entry));
}

void VerifiedKeys::make_room(WallTime now) {
  std::erase_if(entries_, [this, now](const auto& item) { return !good(item.second, now); });
  // Only good keys get here, so this bounds memory and is no cache to be thrashed by a stranger.
  while (entries_.size() >= kEntriesMax) entries_.erase(entries_.begin());
}

std::vector<KeyUse> VerifiedKeys::take_uses() {
  return std::exchange(uses_, {});
}

void VerifiedKeys::put_back(std::vector<KeyUse> uses) {
  uses.insert(uses.end(), std::make_move_iterator(uses_.begin()),
              std::make_move_iterator(uses_.end()));
  if (uses.size() > kUsesMax) uses.resize(kUsesMax);
  uses_ = std::move(uses);
}

}  // namespace redoubt::tenants
