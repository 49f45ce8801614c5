// The memory of limits by key: open addressing with linear probing, one cell to a cache line, no
// tombstones (a removal moves later cells of the run back). Keys are keyed hashes already, so their
// bits are the position.
//
// A cell that is full again says nothing that a missing one does not, so it is dropped when a sweep
// meets it: a few cells with every insertion, which keeps the garbage a fraction of the table, and
// all of them when the background job asks.
//
// Threads: one at a time; the engine locks it.
#pragma once

#include "base/siphash.hpp"
#include "local/limit_algorithms.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace redoubt::local {

// Both clocks at one instant.
struct Instant {
  Nanos boot = 0;
  Nanos wall = 0;
};

struct alignas(64) LimitCell {
  Hash128 key;
  LimitMemory memory;
  Nanos full_at = 0;
  std::uint32_t policy = 0;  // Cells of one policy are comparable with each other.
  bool taken = false;
  bool on_wall_clock = false;
  bool learned = false;  // As the shared tier said; charges made here alone since then make it false.

  Nanos until_full(Instant now) const { return full_at - (on_wall_clock ? now.wall : now.boot); }
};
static_assert(sizeof(LimitCell) == 64, "one cache line to look at for a decision");

class LimitTable {
 public:
  LimitCell* find(const Hash128& key);

  // REQUIRES: absent. Invalidates pointers to cells.
  LimitCell& insert(const Hash128& key);

  // Invalidates pointers to cells.
  void erase(LimitCell& cell);

  // Drops the full ones among the next `cells` cells, going round; returns how many.
  std::size_t sweep(Instant now, std::size_t cells);

  // Which cell to give up for a new one of `policy`: the one soonest full among the next `cells`
  // cells, going round, of the same policy if there is one, so that a flood of new subjects on one
  // policy evicts its own. Never null. REQUIRES: size() > 0.
  LimitCell* evictable(Instant now, std::uint32_t policy, std::size_t cells);

  // Gives memory back when most of it is unused. Invalidates pointers to cells.
  void shrink();

  // What the logs of the cells hold; told by whoever makes one grow, kept by removals.
  void log_resized(std::size_t before, std::size_t after) { log_bytes_ += after - before; }
  std::size_t log_bytes() const { return log_bytes_; }

  std::size_t size() const { return size_; }
  std::size_t slots() const { return cells_.size(); }

 private:
  std::size_t home(const Hash128& key) const { return key.lo & (cells_.size() - 1); }
  std::size_t next(std::size_t i) const { return (i + 1) & (cells_.size() - 1); }
  void resize(std::size_t slots);
  void erase_at(std::size_t i);

  std::vector<LimitCell> cells_;  // A power of two of them, or none.
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  std::size_t log_bytes_ = 0;
};

// What the log of a sliding_log holds; 0 for other memory.
std::size_t log_bytes_of(const LimitMemory& memory);

}  // namespace redoubt::local
