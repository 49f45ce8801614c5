#include "services/sessions/unsaved_ends.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace redoubt::sessions {

UnsavedEnds::UnsavedEnds(Metrics& metrics, const record::UnsavedStops& stops, std::size_t max)
    : stops_(stops),
      max_(max),
      gauge_(metrics.gauge("redoubt_session_ends_unsaved",
                           "Revocations that hold in this process and are not recorded yet.")) {}

void UnsavedEnds::recount() {
  count_.store(ends_.size(), std::memory_order_release);
  gauge_.set(static_cast<double>(ends_.size()));
}

bool UnsavedEnds::add(UnsavedEnd end) {
  const std::lock_guard lock(mutex_);
  Key key = key_of(end);
  const auto known = ends_.find(key);
  const bool of_user = !key.user.empty();
  if (known == ends_.end()) {
    if (ends_.size() >= max_ || (of_user && users_ >= max_ / 4)) return false;
    users_ += of_user ? 1 : 0;
  }
  const WallTime at = known == ends_.end() ? end.at : std::max(end.at, known->second.at);
  ends_.insert_or_assign(std::move(key), Value{at, std::move(end.audit)});
  recount();
  return true;
}

bool UnsavedEnds::covered(const Who& who) const {
  const std::shared_lock lock(mutex_);
  Key key{std::string(who.tenant), {}, who.id};
  if (ends_.contains(key)) return true;
  key.user = who.user;
  key.id.reset();
  for (auto end = ends_.lower_bound(key); end != ends_.end(); ++end) {
    if (end->first.tenant != key.tenant || end->first.user != key.user) return false;
    if (end->first.id != who.id && who.created_at <= end->second.at) return true;
  }
  return false;
}

std::vector<UnsavedEnd> UnsavedEnds::take(std::size_t max) {
  const std::lock_guard lock(mutex_);
  std::vector<UnsavedEnd> taken;
  for (auto& [key, value] : ends_) {
    if (taken.size() == max) break;
    if (std::exchange(value.taken, true)) continue;
    taken.push_back({key.tenant, key.user, key.id, value.at, value.audit});
  }
  return taken;
}

// One that was added again meanwhile ends more, and is written too.
void UnsavedEnds::saved(const std::vector<UnsavedEnd>& ends) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedEnd& end : ends) {
    const auto known = ends_.find(key_of(end));
    if (known == ends_.end() || !known->second.taken) continue;
    users_ -= known->first.user.empty() ? 0 : 1;
    ends_.erase(known);
  }
  recount();
}

void UnsavedEnds::put_back(const std::vector<UnsavedEnd>& ends) {
  const std::lock_guard lock(mutex_);
  for (const UnsavedEnd& end : ends) {
    const auto known = ends_.find(key_of(end));
    if (known != ends_.end()) known->second.taken = false;
  }
}

}  // namespace redoubt::sessions
