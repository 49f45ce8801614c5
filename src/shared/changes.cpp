#include "shared/changes.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

namespace redoubt::shared {
namespace {

constexpr std::size_t kSweepStep = 4096;  // New names between two sweeps, at least.

SipKey draw_key() {
  std::array<std::uint8_t, sizeof(SipKey)> bytes{};
  SystemRandom().fill(bytes);
  SipKey key;
  std::memcpy(&key, bytes.data(), bytes.size());
  return key;
}

}  // namespace

Changes::Changes(const Eras& eras, std::size_t names_max)
    : eras_(eras), names_max_(names_max), key_(draw_key()) {}

void Changes::heard(std::string_view name, std::int64_t value) {
  const Hash128 hash = siphash128(key_, name);
  const std::unique_lock lock(mutex_);
  const Eras::Ticket now = eras_.ticket();
  make_room(now);
  Heard& heard = heard_[hash];
  if (value == kEnds) {
    heard.ended = true;
    heard.ended_at = now;
  } else {
    heard.changed_at = now;
    heard.value = std::max(heard.value, value);
  }
}

void Changes::heard_everything() {
  const std::unique_lock lock(mutex_);
  everything_ = true;
  everything_at_ = eras_.ticket();
  heard_.clear();
  swept_at_ = 0;
}

// REQUIRES: the lock.
void Changes::make_room(Eras::Ticket now) {
  if (heard_.size() < std::min(names_max_, 2 * swept_at_ + kSweepStep)) return;
  const Eras::Ticket forgettable = eras_.forgettable();
  boost::unordered::erase_if(heard_, [forgettable](const auto& entry) {
    const Heard& heard = entry.second;
    return (!heard.ended || heard.ended_at < forgettable) &&
           (heard.value == 0 || heard.changed_at < forgettable);
  });
  swept_at_ = heard_.size();
  if (heard_.size() < names_max_) return;
  everything_ = true;
  everything_at_ = now;
  heard_.clear();
  swept_at_ = 0;
}

bool Changes::allows(std::int64_t era, std::span<const Dependency> on) const {
  const auto before = eras_.heard_before(era);
  if (!before) return false;
  const std::shared_lock lock(mutex_);
  if (everything_ && everything_at_ >= *before) return false;
  return std::ranges::all_of(on, [&](const Dependency& dependency) {
    const auto it = heard_.find(siphash128(key_, dependency.name));
    if (it == heard_.end()) return true;
    const Heard& heard = it->second;
    if (heard.ended && heard.ended_at >= *before) return false;
    return heard.value <= dependency.value || heard.changed_at < *before;
  });
}

std::size_t Changes::names() const {
  const std::shared_lock lock(mutex_);
  return heard_.size();
}

}  // namespace redoubt::shared
