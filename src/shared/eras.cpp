#include "shared/eras.hpp"

namespace redoubt::shared {

void Eras::poll_ended(Ticket poll, std::int64_t era) {
  const std::lock_guard lock(mutex_);
  if (found_.empty()) at_start_ = era;
  if (!found_.empty() && era < found_.back().era) return;  // The record went back: nothing new.
  if (!found_.empty() && era == found_.back().era) {
    found_.back().last = poll;
  } else {
    found_.push_back({era, poll});
  }
  if (found_.size() > kFoundMax) found_.pop_front();
  current_.store(era, std::memory_order_release);
}

std::optional<Eras::Ticket> Eras::heard_before(std::int64_t era) const {
  const std::lock_guard lock(mutex_);
  if (found_.empty() || era <= at_start_ || era < found_.back().era - 1) return std::nullopt;
  Ticket before = 0;
  for (const Found& found : found_) {
    if (found.era < era) before = found.last;
  }
  return before;
}

std::optional<std::int64_t> Eras::found_by(Ticket poll) const {
  const std::lock_guard lock(mutex_);
  for (const Found& found : found_) {
    if (found.last >= poll) return found.era;
  }
  return std::nullopt;
}

Eras::Ticket Eras::forgettable() const {
  const std::lock_guard lock(mutex_);
  if (found_.empty()) return 0;
  const std::int64_t oldest = found_.back().era - 1;
  Ticket before = 0;
  for (const Found& found : found_) {
    if (found.era < oldest) before = found.last;
  }
  return before;
}

}  // namespace redoubt::shared
