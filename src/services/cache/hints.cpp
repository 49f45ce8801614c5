#include "services/cache/hints.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::string_view kHelp =
    "Puts and erasures that Redis did not take at first, by what became of them.";

}  // namespace

Hints::Hints(Metrics& metrics)
    : handed_over_(
          metrics.counter("redoubt_cache_handoffs_total", kHelp, {{"result", "handed_over"}})),
      dropped_(metrics.counter("redoubt_cache_handoffs_total", kHelp, {{"result", "dropped"}})) {}

bool Hints::add(Hint hint) {
  const std::lock_guard lock(mutex_);
  const auto known = hints_.find(order_of(hint.id));
  if (known != hints_.end()) {
    if (hint.version > known->second.version) known->second = std::move(hint);
    return true;
  }
  if (hints_.size() == kHintsMax) {
    dropped_.add();
    return false;
  }
  const Order order = order_of(hint.id);
  hints_.emplace(order, std::move(hint));
  size_ = hints_.size();
  return true;
}

std::int64_t Hints::version_of(const Hash128& id) const {
  if (size_.load() == 0) return 0;
  const std::lock_guard lock(mutex_);
  const auto known = hints_.find(order_of(id));
  return known == hints_.end() ? 0 : known->second.version;
}

std::vector<Hint> Hints::next(std::size_t max) {
  std::vector<Hint> some;
  if (size_.load() == 0) return some;
  const std::lock_guard lock(mutex_);
  const std::size_t wanted = std::min(max, hints_.size());
  auto it = hints_.upper_bound(last_);
  while (some.size() < wanted) {
    if (it == hints_.end()) it = hints_.begin();
    some.push_back(it->second);
    last_ = it->first;
    ++it;
  }
  return some;
}

void Hints::handed_over(const Hint& hint) {
  const std::lock_guard lock(mutex_);
  const auto known = hints_.find(order_of(hint.id));
  if (known == hints_.end() || known->second.version > hint.version) return;
  hints_.erase(known);
  size_ = hints_.size();
  handed_over_.add();
}

void Hints::refused(const Hint& hint) {
  const std::lock_guard lock(mutex_);
  const auto known = hints_.find(order_of(hint.id));
  if (known != hints_.end() && known->second.version == hint.version) ++known->second.refused;
}

}  // namespace redoubt::cache
