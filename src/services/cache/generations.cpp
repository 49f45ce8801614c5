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

// ---- What the record has ----

std::optional<Generations::Stamp> Generations::start_reading() const {
  const std::shared_lock lock(mutex_);
  if (seen_) return std::nullopt;
  return head_.load(std::memory_order_relaxed);
}

void Generations::begin(Stamp reading, std::span<const record::CacheGenerationRow> newest,
                        WallTime read_at) {
  const std::unique_lock lock(mutex_);
  if (seen_ || unnumbered_at_ > reading) return;
  // Of what had no number: if it was committed before the reading, it is in the rows; if it is
  // later, it will be heard with its number.
  everything_.forget_unnumbered();
  for (auto& [name, bump] : names_) bump.forget_unnumbered();
  for (Glob& glob : globs_) glob.bump.forget_unnumbered();

  read_at_ = read_at;
  newest_read_ = newest.empty() ? 0 : newest.front().generation;
  newest_read_bump_ = WallTime{INT64_MIN};
  for (std::size_t i = 0; i < newest.size(); ++i) {
    const record::CacheGenerationRow& row = newest[i];
    newest_read_bump_ = std::max(newest_read_bump_, row.bumped_at);
    Bump* const bump =
        i < kRowsReadMax ? find_or_add(row.name, kRowsReadMax, kGlobsReadMax) : nullptr;
    (bump != nullptr ? *bump : everything_).add(row);
    if (bump == nullptr) break;  // Nothing is known of this one and of those before it.
  }
  seen_ = newest_read_;
  count_on();
}

bool Generations::begun() const {
  const std::shared_lock lock(mutex_);
  return seen_.has_value();
}

std::optional<Generations::Stamp> Generations::judge(std::string_view key,
                                                     const std::vector<std::string>& tags,
                                                     std::int64_t seen, WallTime stored_at) const {
  const std::shared_lock lock(mutex_);
  if (!seen_) return std::nullopt;
  if (stored_at < read_at_ && seen > newest_read_) return std::nullopt;
  if (everything_.speaks_against(seen, stored_at)) return std::nullopt;
  const bool bumped = any_name_of(key, tags, [&](std::string_view name) {
    const auto it = names_.find(name);
    return it != names_.end() && it->second.speaks_against(seen, stored_at);
  });
  if (bumped) return std::nullopt;
  for (const Glob& glob : globs_) {
    const bool speaks = glob.bump.speaks_against(seen, stored_at);
    if (speaks && glob_match(glob.pattern, key)) return std::nullopt;
  }
  return head_.load(std::memory_order_relaxed);
}

// ---- What is heard ----

void Generations::bump(std::string_view name, std::int64_t generation) {
  const std::unique_lock lock(mutex_);
  const Stamp at = head_.load(std::memory_order_relaxed) + 1;
  note(at, generation);
  Bump* const known = name.empty() ? nullptr : find_or_add(name, kNamesMax, kGlobsMax);
  if (known != nullptr) {
    known->heard(at, generation);
  } else {
    bump_everything(at, generation);
  }
  head_.store(at, std::memory_order_release);
}

// REQUIRES: the lock, as all below.
void Generations::note(Stamp at, std::int64_t generation) {
  if (eras_ == nullptr || generation == kHere) return;
  if (generation == kUnnumbered) {
    unnumbered_at_ = at;
    seen_.reset();
    ahead_.clear();
    return;
  }
  ahead_.insert(generation);
  if (ahead_.size() > kAheadMax) ahead_.erase(ahead_.begin());
  if (seen_) count_on();
}

void Generations::count_on() {
  for (auto next = ahead_.begin(); next != ahead_.end() && *next <= *seen_ + 1;) {
    seen_ = std::max(*seen_, *next);
    next = ahead_.erase(next);
  }
}

std::int64_t Generations::newest_known() const {
  const std::int64_t ahead = ahead_.empty() ? 0 : *ahead_.rbegin();
  return std::max({newest_read_, seen_.value_or(0), ahead});
}

// Stands for all the names that are forgotten, later ones among them.
void Generations::bump_everything(Stamp at, std::int64_t generation) {
  everything_.heard(at, std::max(generation, newest_known()));
  everything_.read = std::max(everything_.read, newest_read_bump_);
  names_.clear();
  globs_.clear();
}

// Null when there is no room for it.
Generations::Bump* Generations::find_or_add(std::string_view name, std::size_t names_max,
                                            std::size_t globs_max) {
  if (name.empty()) return &everything_;
  if (name.front() == kGlobName) {
    const std::string_view pattern = name.substr(1);
    const auto known = std::ranges::find(globs_, pattern, &Glob::pattern);
    if (known != globs_.end()) return &known->bump;
    if (globs_.size() >= globs_max) return nullptr;
    return &globs_.emplace_back(Glob{std::string(pattern), {}}).bump;
  }
  if (const auto known = names_.find(name); known != names_.end()) return &known->second;
  if (names_.size() >= names_max) return nullptr;
  return &names_.emplace(std::string(name), Bump{}).first->second;
}

void Generations::Bump::heard(Stamp when, std::int64_t number) {
  at = when;
  generation = std::max(generation, number);
}

void Generations::Bump::add(const record::CacheGenerationRow& row) {
  generation = std::max(generation, row.generation);
  read = std::max(read, row.bumped_at);
}

void Generations::Bump::forget_unnumbered() {
  if (generation == kUnnumbered) generation = 0;
}

// ---- Entries of this process ----

bool Generations::is_good(std::string_view key, const std::vector<std::string>& tags, Stamp filled,
                          std::atomic<Stamp>& checked) const {
  const Stamp seen = checked.load(std::memory_order_acquire);
  if (seen == stamp()) return true;
  const std::shared_lock lock(mutex_);
  if (everything_.at > filled) return false;
  const bool bumped = any_name_of(key, tags, [&](std::string_view name) {
    const auto it = names_.find(name);
    return it != names_.end() && it->second.at > filled;
  });
  if (bumped) return false;
  const Stamp globs_seen = std::max(seen, filled);
  for (const Glob& glob : globs_) {
    if (glob.bump.at > globs_seen && glob_match(glob.pattern, key)) return false;
  }
  checked.store(head_.load(std::memory_order_relaxed), std::memory_order_release);
  return true;
}

bool Generations::would_overflow(std::size_t names, std::size_t globs) const {
  const std::shared_lock lock(mutex_);
  return names_.size() + names > kNamesMax || globs_.size() + globs > kGlobsMax;
}

}  // namespace redoubt::cache
