#include "services/cache/copies.hpp"

#include "record/cache_rows.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::cache {
namespace {

// How long an erasure keeps late puts away: longer than any of them can be on its way.
constexpr Duration kGoneLife{60'000};

// A value leaves a trace for so long though it lives shorter, and so does an erasure: whoever hands
// over something older sooner than that finds it and loses.
constexpr Duration kTraceMin{15'000};
constexpr Duration kHandedOverAsValue{10'000};

// A value that is not taken so often may be too large for it.
constexpr int kOfferedAsValue = 3;

// Of those that one round may meet. One node of a cluster may be away, and the others take theirs.
constexpr int kRefusedMax = 3;

}  // namespace

bool CacheCopies::usable() const {
  engine_.follow_generation(parts_.state.generation());
  return parts_.state.usable() && parts_.clock.boot() < parts_.record.fresh_until();
}

bool CacheCopies::usable(const Address& at) const {
  return usable() && (shared::reads_open(parts_.state, at.copy()) || engine_.has_changed(at));
}

bool CacheCopies::missed(const Address& at) const {
  if (off()) return false;
  return !parts_.state.reachable() || !shared::reads_open(parts_.state, at.copy());
}

bool CacheCopies::has_begun(std::string_view tenant) const {
  return engine_.tenant(tenant).generations.begun();
}

boost::asio::awaitable<void> CacheCopies::begin(std::string_view tenant) {
  Generations& generations = engine_.tenant(tenant).generations;
  const auto reading = generations.start_reading();
  if (!reading) co_return;
  const WallTime began = parts_.clock.wall();
  using Rows = std::vector<record::CacheGenerationRow>;
  const std::string name(tenant);
  std::function<Task<Rows>(sql::Transaction&)> work = [&name](sql::Transaction& tx) {
    return record::newest_cache_generations(tx, name, Generations::kRowsReadMax + 1);
  };
  const Result<Rows> rows = co_await parts_.record.read<Rows>(name, work);
  if (rows) generations.begin(*reading, *rows, began);
}

boost::asio::awaitable<void> CacheCopies::fetch(const Address& at) {
  if (!has_begun(at.tenant)) co_await begin(at.tenant);
  const CacheEngine::Watch before = engine_.watch(at);
  take(at, co_await parts_.copies.watch(at.copy()), before);
}

boost::asio::awaitable<void> CacheCopies::fetch_all(std::vector<Address> wanted) {
  const bool begins = !wanted.empty() && !has_begun(wanted.front().tenant);
  if (begins) co_await begin(wanted.front().tenant);
  std::vector<shared::CopyName> names;
  std::vector<CacheEngine::Watch> before;
  for (const Address& at : wanted) {
    names.push_back(at.copy());
    before.push_back(engine_.watch(at));
  }
  const auto found = co_await parts_.copies.watch_all(std::move(names));
  for (std::size_t i = 0; i < wanted.size(); ++i) take(wanted[i], found[i], before[i]);
}

void CacheCopies::take(const Address& at, const shared::WatchedCopy& found,
                       const CacheEngine::Watch& before) {
  // The journal may have fallen behind while Redis was asked.
  if (found.watched == shared::Watched::no || !usable()) return;
  tracks_ = found.watched == shared::Watched::yes;
  adopt(at, found.copy, before);
  engine_.confirm(at, before);
}

void CacheCopies::adopt(const Address& at, const std::optional<shared::Copy>& found,
                        const CacheEngine::Watch& before) {
  std::optional<CacheCopy> copy;
  if (found) copy = read_copy(parts_.vault, at.tenant, at.key, found->version, found->bytes);
  if (!copy) return engine_.outdate_changed(at);
  engine_.saw_version(found->version);
  const bool good =
      !copy->gone && engine_.adopt(at, entry_of(std::move(*copy), found->version, now()), before);
  if (!good) engine_.outdate(at, found->version);
}

boost::asio::awaitable<shared::Stored> CacheCopies::write(const Address& at, std::int64_t version,
                                                          CacheCopy copy) {
  if (off()) co_return shared::Stored::nowhere;
  const Duration age = std::max(Duration(0), parts_.clock.wall() - copy.stored_at);
  const Duration left = copy.gone ? kGoneLife : copy.life() - age;
  const Duration life = std::clamp(left, kTraceMin, shared::kCopyLifeMax);
  shared::Copy value;
  value.version = version;
  value.bytes = write_copy(parts_.seal ? &parts_.vault : nullptr, at.tenant, version, copy);
  co_return co_await parts_.copies.put_if_newer(at.copy(), std::move(value), life);
}

boost::asio::awaitable<shared::Stored> CacheCopies::keep(const Entry& entry) {
  const Address at{entry.id, entry.tenant->name(), entry.key};
  const CacheEngine::Watch before = engine_.watch(at);
  shared::Stored stored = shared::Stored::nowhere;
  if (entry.era > 0) stored = co_await write(at, entry.version, copy_of(entry, now()));
  if (stored == shared::Stored::nowhere) miss(at, entry.version);
  // Somebody's is newer: the next read asks for it.
  if (stored == shared::Stored::older) engine_.outdate(at, entry.version + 1);
  // There is nothing to wait for.
  if (stored == shared::Stored::stored && !tracks_) engine_.confirm(at, before);
  co_return stored;
}

boost::asio::awaitable<shared::Stored> CacheCopies::erase(const Address& at) {
  return mark_gone(at, engine_.next_version());
}

boost::asio::awaitable<shared::Stored> CacheCopies::mark_gone(const Address& at,
                                                              std::int64_t version) {
  CacheCopy gone;
  gone.entry.key = at.key;
  gone.gone = true;
  const auto stored = co_await write(at, version, std::move(gone));
  if (stored == shared::Stored::nowhere) miss(at, version);
  co_return stored;
}

// Where there never was a Redis, it has nothing from before.
void CacheCopies::miss(const Address& at, std::int64_t version) {
  if (!parts_.state.ever_on()) return;
  if (off()) return engine_.give_up_copy(at, version);
  engine_.miss_copy(at, version);
}

bool CacheCopies::may_hand_over() const {
  return usable() && parts_.state.takes_writes() && parts_.state.normal();
}

boost::asio::awaitable<std::size_t> CacheCopies::hand_over(std::size_t max) {
  if (!may_hand_over()) co_return 0;
  std::size_t handed_over = 0;
  int refused = 0;
  for (const Hint& hint : engine_.hints().next(max)) {
    if (!may_hand_over() || refused == kRefusedMax) break;
    if (co_await hand_over_one(hint) == shared::Stored::nowhere) {
      engine_.hints().refused(hint);
      ++refused;
    } else {
      engine_.handed_over({hint.id, hint.tenant, hint.key}, hint);
      ++handed_over;
    }
  }
  co_return handed_over;
}

boost::asio::awaitable<shared::Stored> CacheCopies::hand_over_one(const Hint& hint) {
  const Address at{hint.id, hint.tenant, hint.key};
  const bool as_value = parts_.clock.boot() - hint.since <= kHandedOverAsValue &&  //
                        hint.refused < kOfferedAsValue;
  const EntryPtr entry = as_value ? engine_.newest(at, hint.version) : nullptr;
  // One that was filled before anything was known of the tenant's invalidations is nobody else's.
  if (entry && entry->era > 0) co_return co_await keep(*entry);
  co_return co_await mark_gone(at, hint.version);
}

boost::asio::awaitable<shared::Claimed> CacheCopies::claim(const Address& at, std::string lease,
                                                           Duration length) {
  if (parts_.claims == nullptr) co_return shared::Claimed::unknown;
  co_return co_await parts_.claims->claim(at.copy(), std::move(lease), length);
}

boost::asio::awaitable<void> CacheCopies::give_back(const Address& at, std::string lease) {
  if (parts_.claims != nullptr) {
    co_await parts_.claims->give_back(at.copy(), std::move(lease));
  }
}

}  // namespace redoubt::cache
