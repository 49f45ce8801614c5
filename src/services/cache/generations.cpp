#include "services/cache/generations.hpp"

#include "base/text.hpp"
#include "services/cache/names.hpp"

#include <algorithm>
#include <mutex>

namespace redoubt::cache {

namespace {
constexpr std::size_t kAheadMax = 1'024;  // A gap this old will not close: all count as unseen.
}

Generations::Moment Generations::moment() const {
  if (eras_ == nullptr) return {stamp(), 0, 0};
  // The era first: whatever is heard afterwards belongs to it or a later one.
  const std::int64_t era = eras_->current();
  const std::shared_lock lock(mutex_);
  return {head_.load(std::memory_order_relaxed), seen_.value_or(0), era};
}

void Generations::begin_at(std::int64_t newest) {
  const std::unique_lock lock(mutex_);
  seen_ = std::max(seen_.value_or(0), newest);
  ahead_.erase(ahead_.begin(), ahead_.upper_bound(*seen_));
  for (auto next = ahead_.begin(); next != ahead_.end() && *next == *seen_ + 1;) {
    ++*seen_;
    next = ahead_.erase(next);
  }
}

bool Generations::begun() const {
  const std::shared_lock lock(mutex_);
  return seen_.has_value();
}

std::optional<Generations::Stamp> Generations::filled_of(std::int64_t seen,
                                                         std::int64_t era) const {
  if (eras_ == nullptr) return std::nullopt;
  const auto before = eras_->heard_before(era);
  if (!before) return std::nullopt;
  const std::shared_lock lock(mutex_);
  if (forgotten_ && *forgotten_ >= *before) return std::nullopt;
  for (const Heard& heard : log_) {
    if (heard.ticket >= *before && heard.generation > seen) return heard.at - 1;
  }
  return head_.load(std::memory_order_relaxed);
}

// REQUIRES: the lock.
void Generations::note(Stamp at, std::int64_t generation) {
  // Before the first poll no copy can be judged, and none of later eras is concerned.
  if (eras_ == nullptr || eras_->ticket() == 0) return;
  log_.push_back({at, eras_->ticket(), generation});
  if (log_.size() > kLogMax) {
    forgotten_ = log_.front().ticket;
    log_.pop_front();
  }
  if (generation == kUnnumbered) {
    seen_.reset();
    ahead_.clear();
    return;
  }
  ahead_.insert(generation);
  if (ahead_.size() > kAheadMax) ahead_.erase(ahead_.begin());
  if (!seen_) return;
  for (auto next = ahead_.begin(); next != ahead_.end() && *next <= *seen_ + 1;) {
    seen_ = std::max(*seen_, *next);
    next = ahead_.erase(next);
  }
}

void Generations::bump(std::string_view name, std::int64_t generation) {
  const std::unique_lock lock(mutex_);
  const Stamp at = head_.load(std::memory_order_relaxed) + 1;
  note(at, generation);
  if (name.empty()) {
    bump_everything(at);
  } else if (name.front() == kGlobName) {
    bump_glob(name.substr(1), at);
  } else {
    bump_name(name, at);
  }
  head_.store(at, std::memory_order_release);
}

void Generations::bump_everything(Stamp at) {
  everything_at_ = at;
  names_.clear();
  globs_.clear();
}

void Generations::bump_glob(std::string_view pattern, Stamp at) {
  const auto known = std::ranges::find(globs_, pattern, &Glob::pattern);
  if (known != globs_.end()) {
    known->at = at;
  } else if (globs_.size() < kGlobsMax) {
    globs_.push_back({std::string(pattern), at});
  } else {
    bump_everything(at);
  }
}

void Generations::bump_name(std::string_view name, Stamp at) {
  if (const auto known = names_.find(name); known != names_.end()) {
    known->second = at;
  } else if (names_.size() < kNamesMax) {
    names_.emplace(std::string(name), at);
  } else {
    bump_everything(at);
  }
}

bool Generations::is_good(std::string_view key, const std::vector<std::string>& tags, Stamp filled,
                          std::atomic<Stamp>& checked) const {
  const Stamp seen = checked.load(std::memory_order_acquire);
  if (seen == stamp()) return true;
  const std::shared_lock lock(mutex_);
  if (everything_at_ > filled) return false;
  const bool bumped = any_name_of(key, tags, [&](std::string_view name) {
    const auto it = names_.find(name);
    return it != names_.end() && it->second > filled;
  });
  if (bumped) return false;
  const Stamp globs_seen = std::max(seen, filled);
  for (const Glob& glob : globs_) {
    if (glob.at > globs_seen && glob_match(glob.pattern, key)) return false;
  }
  checked.store(head_.load(std::memory_order_relaxed), std::memory_order_release);
  return true;
}

bool Generations::would_overflow(std::size_t names, std::size_t globs) const {
  const std::shared_lock lock(mutex_);
  return names_.size() + names > kNamesMax || globs_.size() + globs > kGlobsMax;
}

}  // namespace redoubt::cache
