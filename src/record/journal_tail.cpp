#include "record/journal_tail.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace redoubt::record {
namespace {

constexpr std::int64_t kHolesMax = 10'000;

}  // namespace

void JournalTail::start(std::int64_t after) {
  after_ = after;
  holes_.clear();
  overflowed_ = false;
}

std::vector<std::int64_t> JournalTail::holes() const {
  std::vector<std::int64_t> out;
  out.reserve(holes_.size());
  for (const auto& [seq, xmax] : holes_) out.push_back(seq);
  return out;
}

std::vector<std::int64_t> JournalTail::take(const Poll& poll) {
  std::vector<std::int64_t> seen = poll.seen;
  std::ranges::sort(seen);
  std::vector<std::int64_t> fresh;
  for (const std::int64_t seq : seen) {
    if (seq <= after_) {
      if (holes_.erase(seq) > 0) fresh.push_back(seq);
      continue;
    }
    const std::int64_t missing = seq - after_ - 1;
    if (missing + std::ssize(holes_) > kHolesMax) {
      holes_.clear();
      overflowed_ = true;
    } else {
      for (std::int64_t hole = after_ + 1; hole < seq; ++hole) holes_.emplace(hole, poll.xmax);
    }
    after_ = seq;
    fresh.push_back(seq);
  }
  std::erase_if(holes_, [&](const auto& hole) { return hole.second <= poll.xmin; });
  return fresh;
}

bool JournalTail::overflowed() {
  return std::exchange(overflowed_, false);
}

}  // namespace redoubt::record
