#include "local/limit_table.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace redoubt::local {
namespace {

constexpr std::size_t kSlotsMin = 8;

// At most three quarters full, so that runs stay short.
bool fits(std::size_t size, std::size_t slots) {
  return size * 4 <= slots * 3;
}

}  // namespace

std::size_t log_bytes_of(const LimitMemory& memory) {
  const auto* log = std::get_if<SlidingLogMemory>(&memory);
  return log && log->log ? log->log->capacity() * sizeof(Admission) : 0;
}

LimitCell* LimitTable::find(const Hash128& key) {
  if (cells_.empty()) return nullptr;
  for (std::size_t i = home(key); cells_[i].taken; i = next(i)) {
    if (cells_[i].key == key) return &cells_[i];
  }
  return nullptr;
}

LimitCell& LimitTable::insert(const Hash128& key) {
  if (!fits(size_ + 1, cells_.size())) resize(std::max(kSlotsMin, cells_.size() * 2));
  std::size_t i = home(key);
  while (cells_[i].taken) i = next(i);
  cells_[i].key = key;
  cells_[i].taken = true;
  ++size_;
  return cells_[i];
}

void LimitTable::erase(LimitCell& cell) {
  erase_at(static_cast<std::size_t>(&cell - cells_.data()));
}

void LimitTable::erase_at(std::size_t hole) {
  log_bytes_ -= log_bytes_of(cells_[hole].memory);
  // Whatever lies behind the hole in its run and could have stood in it moves there.
  for (std::size_t i = next(hole); cells_[i].taken; i = next(i)) {
    const std::size_t mask = cells_.size() - 1;
    const std::size_t from_home = (i - home(cells_[i].key)) & mask;
    const std::size_t from_hole = (i - hole) & mask;
    if (from_home < from_hole) continue;
    cells_[hole] = std::move(cells_[i]);
    hole = i;
  }
  cells_[hole] = LimitCell{};
  --size_;
}

std::size_t LimitTable::sweep(Instant now, std::size_t cells) {
  std::size_t dropped = 0;
  cells = std::min(cells, cells_.size());
  for (std::size_t seen = 0; seen < cells; ++seen) {
    if (cursor_ >= cells_.size()) cursor_ = 0;
    // A removal may move another full cell here: look again.
    while (cells_[cursor_].taken && cells_[cursor_].until_full(now) <= 0) {
      erase_at(cursor_);
      ++dropped;
    }
    ++cursor_;
  }
  return dropped;
}

LimitCell* LimitTable::evictable(Instant now, std::uint32_t policy, std::size_t cells) {
  LimitCell* best = nullptr;
  for (std::size_t seen = 0; seen < cells_.size() && (seen < cells || !best); ++seen) {
    if (cursor_ >= cells_.size()) cursor_ = 0;
    LimitCell& cell = cells_[cursor_++];
    if (!cell.taken) continue;
    const bool same = cell.policy == policy;
    const bool best_same = best && best->policy == policy;
    const bool better =
        !best || (same != best_same ? same : cell.until_full(now) < best->until_full(now));
    if (better) best = &cell;
  }
  RD_ASSERT(best != nullptr, "a table with cells has one to evict");
  return best;
}

void LimitTable::shrink() {
  if (size_ == 0) {
    cells_ = std::vector<LimitCell>();
    cursor_ = 0;
  } else if (size_ * 8 < cells_.size() && cells_.size() > kSlotsMin) {
    resize(std::max(kSlotsMin, std::bit_ceil(size_ * 2)));
  }
}

void LimitTable::resize(std::size_t slots) {
  std::vector<LimitCell> old = std::exchange(cells_, std::vector<LimitCell>(slots));
  for (LimitCell& cell : old) {
    if (!cell.taken) continue;
    std::size_t i = home(cell.key);
    while (cells_[i].taken) i = next(i);
    cells_[i] = std::move(cell);
  }
  cursor_ = 0;
}

}  // namespace redoubt::local
