#include "record/membership.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::record {

void Membership::observe(std::span<const InstanceRow> rows, BootTime now) {
  std::map<std::string, Seen> next;
  for (const InstanceRow& row : rows) {
    Seen seen{row.heartbeat, row.journal_seq, now};
    const auto before = seen_.find(row.id);
    if (before != seen_.end() && before->second.heartbeat == row.heartbeat) {
      seen.moved_at = before->second.moved_at;
    }
    next.emplace(row.id, seen);
  }
  seen_ = std::move(next);
}

std::int64_t Membership::running(BootTime now) const {
  return std::ranges::count_if(seen_, [now](const auto& seen) { return runs(seen.second, now); });
}

bool Membership::all_heard(std::int64_t seq, BootTime now) const {
  return std::ranges::all_of(seen_, [=](const auto& seen) {
    return seen.second.journal_seq >= seq || !runs(seen.second, now);
  });
}

}  // namespace redoubt::record
