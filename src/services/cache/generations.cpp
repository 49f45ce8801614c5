#include "services/cache/generations.hpp"

#include "base/text.hpp"
#include "services/cache/names.hpp"

#include <algorithm>
#include <mutex>

namespace redoubt::cache {

void Generations::bump(std::string_view name) {
  const std::unique_lock lock(mutex_);
  const Stamp at = head_.load(std::memory_order_relaxed) + 1;
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
