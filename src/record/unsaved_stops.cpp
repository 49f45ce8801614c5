#include "record/unsaved_stops.hpp"

#include <mutex>
#include <utility>

namespace redoubt::record {

UnsavedStops::UnsavedStops(Metrics& metrics, std::size_t max)
    : max_(max),
      gauge_(metrics.gauge("redoubt_stops_unsaved",
                           "Revoked API keys and disabled tenants that are refused by this process "
                           "and are not recorded yet.")) {}

void UnsavedStops::recount() {
  count_.store(stops_.size(), std::memory_order_release);
  gauge_.set(static_cast<double>(stops_.size()));
}

bool UnsavedStops::add(UnsavedStop stop) {
  const std::lock_guard lock(mutex_);
  Key key{stop.kind, std::move(stop.id)};
  if (stops_.size() >= max_ && !stops_.contains(key)) return false;
  // One that is there already stays: it stops no less.
  stops_.try_emplace(std::move(key), Value{stop.at, std::move(stop.audit)});
  recount();
  return true;
}

bool UnsavedStops::has(UnsavedStop::Kind kind, std::string_view id) const {
  const std::shared_lock lock(mutex_);
  return stops_.contains(Key{kind, std::string(id)});
}

std::vector<UnsavedStop> UnsavedStops::take(std::size_t max) {
  const std::lock_guard lock(mutex_);
  std::vector<UnsavedStop> taken;
  for (auto& [key, value] : stops_) {
    if (taken.size() == max) break;
    if (std::exchange(value.taken, true)) continue;
    taken.push_back({key.kind, key.id, value.at, value.audit});
  }
  return taken;
}

void UnsavedStops::saved(const std::vector<UnsavedStop>& stops) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedStop& stop : stops) stops_.erase(Key{stop.kind, stop.id});
  recount();
}

void UnsavedStops::put_back(const std::vector<UnsavedStop>& stops) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedStop& stop : stops) {
    const auto known = stops_.find(Key{stop.kind, stop.id});
    if (known != stops_.end()) known->second.taken = false;
  }
}

}  // namespace redoubt::record
