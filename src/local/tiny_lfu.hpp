// A bounded cache with W-TinyLFU admission (Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient
// Cache Admission Policy", ACM ToS 2017): a small LRU window in front of a segmented LRU, and a
// count-min sketch of 4-bit counters that decides whether a newcomer is worth the entry it displaces.
// Bounded in weight (bytes) and in entries.
//
// Threads: one at a time; whoever shares it locks it.
#pragma once

#include <cstddef>
#include <functional>

namespace redoubt::local {

enum class Removal : unsigned char { replaced, evicted, erased };

// Key: hashable by Hash, equality comparable. Value: movable.
template <class Key, class Value, class Hash = std::hash<Key>>
class TinyLfu {
 public:
  struct Options {
    std::size_t weight_max;   // Sum of the weights of entries, for example bytes.
    std::size_t entries_max;  // And their number.
  };
  using OnRemoval = std::function<void(const Key&, Value&, Removal)>;

  explicit TinyLfu(Options options, OnRemoval on_removal = {});

  // Counts as a use. The pointer is good until the next non-const call.
  Value* find(const Key& key);
  const Value* peek(const Key& key) const;  // Does not count.

  // Adds or replaces. False when the entry was not admitted, or is heavier than the cache.
  bool insert(Key key, Value value, std::size_t weight);
  bool erase(const Key& key);
  void clear();

  std::size_t size() const;
  std::size_t weight() const;
  template <class F>
  void for_each(F&& visit) const;  // visit(const Key&, const Value&), newest first within segments.
};

}  // namespace redoubt::local
