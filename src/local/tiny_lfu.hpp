// A bounded cache with W-TinyLFU admission (Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient
// Cache Admission Policy", ACM ToS 2017): a small LRU window in front of a segmented LRU, and a
// count-min sketch of 4-bit counters that decides whether a newcomer is worth the entry it
// displaces. Bounded in weight (bytes) and in entries.
//
//   insert -> window (1 %) --overflow--> contest --> probation --use--> protected (80 % of the
//   rest)
//                                           |          ^----overflow-----'
//                                           v
//                                        evicted
//
// Costs: every operation is O(1), amortized over insertions where one heavy entry displaces many
// light ones; one allocation per entry; the sketch grows with the entries, 8 bytes for each. A hit
// reads the entry, its place in the index and one line of the sketch; in a long list one in eight
// moves its entry, which touches the neighbours too.
//
// Threads: one at a time; whoever shares it locks it.
#pragma once

#include "local/frequency_sketch.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace redoubt::local {

enum class Removal : unsigned char { replaced, evicted, erased };

// Key: hashable by Hash, equality comparable. Value: movable. Look-ups take a Key or any K for
// which Hash(K) equals the Hash of the equal Key, and Key == K compiles.
template <class Key, class Value, class Hash = std::hash<Key>>
class TinyLfu {
 public:
  struct Options {
    std::size_t weight_max;   // Sum of the weights of entries, for example bytes.
    std::size_t entries_max;  // And their number.
  };
  // Called once for every value that entered, when it leaves (but not by the destructor). An entry
  // that was not admitted entered and was evicted. It must not call the cache.
  using OnRemoval = std::function<void(const Key&, Value&, Removal)>;

  explicit TinyLfu(Options options, OnRemoval on_removal = {})
      : options_(options),
        window_max_{std::max<std::size_t>(1, options.entries_max / 100), options.weight_max / 100},
        protected_max_{
            part(options.entries_max - std::min(options.entries_max, window_max_.entries)),
            part(options.weight_max - window_max_.weight)},
        on_removal_(std::move(on_removal)) {}

  TinyLfu(const TinyLfu&) = delete;
  TinyLfu& operator=(const TinyLfu&) = delete;
  ~TinyLfu() {
    for (Node* node : index_) delete node;
  }

  // Counts as a use, also when it misses. The pointer is good until the next non-const call.
  template <class K = Key>
  Value* find(const K& key) {
    const Lookup<K> lookup{mixed(key), key};
    sketch_.add(lookup.hash);
    const auto it = index_.find(lookup);
    if (it == index_.end()) return nullptr;
    touch(**it);
    return &(*it)->value;
  }

  template <class K = Key>
  const Value* peek(const K& key) const {  // Does not count.
    const auto it = index_.find(Lookup<K>{mixed(key), key});
    return it == index_.end() ? nullptr : &(*it)->value;
  }

  // Adds or replaces, and counts as a use. False when the entry was not admitted, or is heavier
  // than the cache; an older value of the key is gone then too.
  bool insert(Key key, Value value, std::size_t weight) {
    const std::uint64_t hash = mixed(key);
    const auto it = index_.find(Lookup<Key>{hash, key});
    if (weight > options_.weight_max || options_.entries_max == 0) {
      if (it != index_.end()) remove(**it, Removal::replaced);
      return false;
    }
    sketch_.add(hash);
    if (it != index_.end()) {
      replace(**it, std::move(value), weight);
      return true;
    }
    Node* const node =
        new Node{.hash = hash, .weight = weight, .key = std::move(key), .value = std::move(value)};
    index_.insert(node);
    sketch_.reserve(index_.size());
    if (weight > window_max_.weight) {  // It would only push everything else out of the window.
      segment(Segment::probation).push_front(*node, Segment::probation);
      return contest(*node, *node);
    }
    segment(Segment::window).push_front(*node, Segment::window);
    return overflow_window(*node);
  }

  template <class K = Key>
  bool erase(const K& key) {
    const auto it = index_.find(Lookup<K>{mixed(key), key});
    if (it == index_.end()) return false;
    remove(**it, Removal::erased);
    return true;
  }

  void clear() {
    for (List& list : lists_) {
      while (list.tail != nullptr) remove(*list.tail, Removal::erased);
    }
  }

  std::size_t size() const { return index_.size(); }
  std::size_t weight() const { return lists_[0].weight + lists_[1].weight + lists_[2].weight; }

  // visit(const Key&, const Value&), newest first within segments.
  template <class F>
  void for_each(F&& visit) const {
    for (const List& list : lists_) {
      for (const Node* node = list.head; node != nullptr; node = node->next) {
        visit(node->key, node->value);
      }
    }
  }

 private:
  enum class Segment : unsigned char { window, protect, probation };

  struct Node {
    std::uint64_t hash = 0;
    std::size_t weight = 0;
    Node* previous = nullptr;
    Node* next = nullptr;
    Segment segment = Segment::window;
    Key key;
    Value value;
  };

  struct Bound {
    std::size_t entries;
    std::size_t weight;
  };

  struct List {
    Node* head = nullptr;
    Node* tail = nullptr;
    std::size_t entries = 0;
    std::size_t weight = 0;

    bool over(const Bound& bound) const { return entries > bound.entries || weight > bound.weight; }

    void push_front(Node& node, Segment segment) {
      node.segment = segment;
      node.previous = nullptr;
      node.next = head;
      (head != nullptr ? head->previous : tail) = &node;
      head = &node;
      ++entries;
      weight += node.weight;
    }

    void unlink(Node& node) {
      (node.previous != nullptr ? node.previous->next : head) = node.next;
      (node.next != nullptr ? node.next->previous : tail) = node.previous;
      --entries;
      weight -= node.weight;
    }
  };

  template <class K>
  struct Lookup {
    std::uint64_t hash;
    const K& key;
  };
  struct NodeHash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(const Node* node) const { return node->hash; }
    template <class K>
    std::size_t operator()(const Lookup<K>& lookup) const {
      return lookup.hash;
    }
  };
  struct NodeEqual {
    using is_transparent = void;
    bool operator()(const Node* a, const Node* b) const { return a == b; }
    template <class K>
    bool operator()(const Lookup<K>& a, const Node* b) const {
      return a.hash == b->hash && b->key == a.key;
    }
    template <class K>
    bool operator()(const Node* a, const Lookup<K>& b) const {
      return (*this)(b, a);
    }
  };

  static std::size_t part(std::size_t main) { return main / 5 * 4; }

  // std::hash of an integer is the integer; the sketch and the table need every bit to count.
  template <class K>
  static std::uint64_t mixed(const K& key) {
    std::uint64_t x = Hash{}(key);
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
  }

  List& segment(Segment which) { return lists_[static_cast<std::size_t>(which)]; }

  bool over() const {
    return index_.size() > options_.entries_max || weight() > options_.weight_max;
  }

  void move(Node& node, Segment to) {
    segment(node.segment).unlink(node);
    segment(to).push_front(node, to);
  }

  // In a long list a use moves its entry to the front one time in kUsesPerMove: what is used often
  // is near the front all the same, and other uses need not wait for the neighbours of the entry.
  void touch(Node& node) {
    List& list = segment(node.segment);
    if (node.segment == Segment::probation) {
      move(node, Segment::protect);
      shrink_protected();
    } else if (list.entries <= kShortList || ++uses_ % kUsesPerMove == 0) {
      move(node, node.segment);
    }
  }

  void shrink_protected() {
    List& list = segment(Segment::protect);
    while (list.entries > 1 && list.over(protected_max_)) move(*list.tail, Segment::probation);
  }

  void replace(Node& node, Value value, std::size_t weight) {
    if (on_removal_) on_removal_(node.key, node.value, Removal::replaced);
    node.value = std::move(value);
    segment(node.segment).weight += weight - node.weight;  // Unsigned arithmetic wraps to the sum.
    node.weight = weight;
    touch(node);
    while (over()) remove(*victim_other_than(node, node), Removal::evicted);
    shrink_protected();
    overflow_window(node);
  }

  // Moves what the window cannot hold to probation, where each must win its place. Returns whether
  // `newcomer` is still there.
  bool overflow_window(const Node& newcomer) {
    List& window = segment(Segment::window);
    bool kept = true;
    while (window.over(window_max_)) {
      Node& candidate = *window.tail;
      const bool is_newcomer = &candidate == &newcomer;
      move(candidate, Segment::probation);
      if (!contest(candidate, newcomer) && is_newcomer) kept = false;
    }
    // The window is within its share, so what is too much is in the main segments.
    while (over()) remove(*victim_other_than(newcomer, newcomer), Removal::evicted);
    return kept;
  }

  // Evicts until everything fits: the coldest entry while `candidate` is used more often than it,
  // else `candidate`. Returns whether it stayed.
  bool contest(Node& candidate, const Node& newcomer) {
    while (over()) {
      Node* const victim = victim_other_than(candidate, newcomer);
      if (victim == nullptr || !wins(candidate, *victim)) {
        remove(candidate, Removal::evicted);
        return false;
      }
      remove(*victim, Removal::evicted);
    }
    return true;
  }

  // A tie goes to the entry that is there. Now and then a warm loser wins, so that keys chosen to
  // collide in the sketch with a victim cannot keep everything else out.
  bool wins(const Node& candidate, const Node& victim) {
    const unsigned candidate_uses = sketch_.estimate(candidate.hash);
    const unsigned victim_uses = sketch_.estimate(victim.hash);
    if (candidate_uses > victim_uses) return true;
    return candidate_uses > kWarm && ++warm_losers_ % kWarmLosersPerWin == 0;
  }

  Node* victim_other_than(const Node& a, const Node& b) {
    for (const Segment which : {Segment::probation, Segment::protect, Segment::window}) {
      Node* node = segment(which).tail;
      while (node == &a || node == &b) node = node->previous;
      if (node != nullptr) return node;
    }
    return nullptr;
  }

  void remove(Node& node, Removal reason) {
    segment(node.segment).unlink(node);
    index_.erase(&node);
    const std::unique_ptr<Node> owned(&node);
    if (on_removal_) on_removal_(owned->key, owned->value, reason);
  }

  static constexpr std::size_t kShortList = 1024;  // In exact order: it lies in the CPU's cache.
  static constexpr unsigned kUsesPerMove = 8;
  static constexpr unsigned kWarm = 5;
  static constexpr unsigned kWarmLosersPerWin = 128;

  const Options options_;
  const Bound window_max_;
  const Bound protected_max_;
  OnRemoval on_removal_;
  List lists_[3];
  boost::unordered_flat_set<Node*, NodeHash, NodeEqual> index_;
  FrequencySketch sketch_;
  unsigned warm_losers_ = 0;
  unsigned uses_ = 0;  // Of entries in long lists.
};

}  // namespace redoubt::local
