// Copies of cache entries in the shared tier, for all instances: looked for where memory has none,
// written after memory.
//
// An entry is taken only while the journal is fresh, and judged by what its filler had seen
// (generations.hpp): for as long as it lives, and over restarts. For that, the invalidations that
// the record has of a tenant are read before the first of its entries is looked for.
//
// What Redis did not take of this instance, or may not have, is handed over when it does
// (hints.hpp). Until then no older copy of the key is taken, so that nothing is shown that is older
// than what was acknowledged here.
//
// Where Redis tells of changes to what was read (shared::CopyListener), memory is kept right by it:
// an entry is served from memory while Redis was asked about it since it came there and has told
// nothing since. When the connection is lost, or Redis is another one, Redis is asked about each
// entry once more; while it is away, memory answers. Where Redis does not tell (RESP2, REST, an
// account without CLIENT), an instance that has a value in memory keeps it until it ends or is
// invalidated, whatever another one puts.
//
// When Redis comes back, entries are asked about little by little (shared/state.hpp): else all that
// is in memory would be read again at one moment. For one whose turn has not come, an instance does
// what it does while Redis is away, 5 s longer: memory answers, and each instance fills for itself.
// That shows nothing that was invalidated, which memory is judged by as ever; what another instance
// has put or erased meanwhile is seen when its turn comes, or when Redis tells of it.
//
// Between instances, the last of two puts wins by the clock of its host.
//
// Threads: one worker's. Cost: one GET where memory has nothing or what is not confirmed, as after
// a put; one script for each put and erasure.
#pragma once

#include "base/vault.hpp"
#include "record/record.hpp"
#include "services/cache/copy_format.hpp"
#include "services/cache/engine.hpp"
#include "shared/claims.hpp"
#include "shared/copies.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

struct CacheCopiesParts {
  shared::Copies& copies;
  const shared::SharedState& state;
  record::Record& record;
  const Vault& vault;
  const Clock& clock;
  bool seal = true;                  // What is written; both forms are read.
  shared::Claims* claims = nullptr;  // Null: each instance fills for itself.
};

class CacheCopies {
 public:
  CacheCopies(CacheEngine& engine, const CacheCopiesParts& parts)
      : engine_(engine), parts_(parts) {}

  // Whether it is worth asking,
  bool usable() const;
  // and for this entry: after Redis came back not at once, but for what it told to have changed.
  bool usable(const Address& at) const;
  bool off() const { return parts_.state.off(); }
  // It is not asked for this entry, though nobody has turned it off.
  bool missed(const Address& at) const;

  // What the record knows of the tenant's invalidations has been read. Nearly always so: it is
  // asked by itself, without a coroutine.
  bool has_begun(std::string_view tenant) const;
  // Otherwise, before an entry is looked for or made.
  boost::asio::awaitable<void> begin(std::string_view tenant);

  // Brings what is good into memory, and takes out of it what is not the last value any more.
  boost::asio::awaitable<void> fetch(const Address& at);
  boost::asio::awaitable<void> fetch_all(std::vector<Address> wanted);

  // `older`: somebody else's is newer, and replaces it here too.
  boost::asio::awaitable<shared::Stored> keep(const Entry& entry);
  // Whether there may have been one is not known: it is not asked.
  boost::asio::awaitable<shared::Stored> erase(const Address& at);

  // At most `max` of what the shared tier did not take; how many it has taken now. One at a time.
  boost::asio::awaitable<std::size_t> hand_over(std::size_t max);

  // Whether this instance is the one to fill, for that long; `unknown` is as good as yes.
  boost::asio::awaitable<shared::Claimed> claim(const Address& at, std::string lease,
                                                Duration length);
  boost::asio::awaitable<void> give_back(const Address& at, std::string lease);

 private:
  Now now() const { return {parts_.clock.boot(), parts_.clock.wall()}; }
  void take(const Address& at, const shared::WatchedCopy& found, const CacheEngine::Watch& before);
  // Into memory, if it is good.
  void adopt(const Address& at, const std::optional<shared::Copy>& found,
             const CacheEngine::Watch& before);
  boost::asio::awaitable<shared::Stored> write(const Address& at, std::int64_t version,
                                               CacheCopy copy);
  boost::asio::awaitable<shared::Stored> mark_gone(const Address& at, std::int64_t version);
  boost::asio::awaitable<shared::Stored> hand_over_one(const Hint& hint);
  void miss(const Address& at, std::int64_t version);
  bool may_hand_over() const;

  CacheEngine& engine_;
  CacheCopiesParts parts_;
  bool tracks_ = true;  // As far as is known.
};

}  // namespace redoubt::cache
