#include "services/cache/copies.hpp"

#include "record/cache_rows.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::cache {
namespace {

// How long an erasure keeps late puts away: longer than any of them can be on its way.
constexpr Duration kGoneLife{60'000};

shared::CopyName name_of(const Address& at) {
  return {.noun = shared::Noun::cache, .tenant = at.tenant, .id = at.key};
}

}  // namespace

bool CacheCopies::usable() const {
  engine_.follow_generation(parts_.state.generation());
  return parts_.state.usable() && parts_.clock.boot() < parts_.record.fresh_until();
}

boost::asio::awaitable<void> CacheCopies::fetch(const Address& at) {
  const CacheEngine::Watch before = engine_.watch(at);
  const shared::WatchedCopy found = co_await parts_.copies.watch(name_of(at));
  auto again = take(at, found, before);
  if (again) co_await write(at, found.copy->version, std::move(*again));
}

boost::asio::awaitable<void> CacheCopies::fetch_all(std::vector<Address> wanted) {
  std::vector<shared::CopyName> names;
  std::vector<CacheEngine::Watch> before;
  for (const Address& at : wanted) {
    names.push_back(name_of(at));
    before.push_back(engine_.watch(at));
  }
  const auto found = co_await parts_.copies.watch_all(std::move(names));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    static_cast<void>(take(wanted[i], found[i], before[i]));
  }
}

std::optional<CacheCopy> CacheCopies::take(const Address& at, const shared::WatchedCopy& found,
                                           const CacheEngine::Watch& before) {
  // The journal may have fallen behind while Redis was asked.
  if (found.watched == shared::Watched::no || !usable()) return std::nullopt;
  tracks_ = found.watched == shared::Watched::yes;
  std::optional<CacheCopy> again = adopt(at, found.copy, before);
  engine_.confirm(at, before);
  return again;
}

std::optional<CacheCopy> CacheCopies::adopt(const Address& at,
                                            const std::optional<shared::Copy>& found,
                                            const CacheEngine::Watch& before) {
  std::optional<CacheCopy> copy;
  if (found) copy = read_copy(parts_.vault, at.tenant, at.key, found->version, found->bytes);
  if (!copy) {
    engine_.outdate_changed(at);
    return std::nullopt;
  }
  engine_.saw_version(found->version);
  // If it is good: it has every change of the eras that were over when the journal was last read.
  std::optional<CacheCopy> again;
  const auto settled = parts_.state.eras().settled(parts_.clock.boot());
  if (settled > copy->era) {
    again = copy;
    again->era = settled;
  }
  const bool good =
      !copy->gone && engine_.adopt(at, entry_of(std::move(*copy), found->version, now()), before);
  if (good) return again;
  engine_.outdate(at, found->version);
  return std::nullopt;
}

boost::asio::awaitable<shared::Stored> CacheCopies::write(const Address& at, std::int64_t version,
                                                          CacheCopy copy) {
  if (parts_.state.off()) co_return shared::Stored::nowhere;
  const Duration age = std::max(Duration(0), parts_.clock.wall() - copy.stored_at);
  const Duration left = copy.gone ? kGoneLife : copy.life() - age;
  const Duration life = std::clamp(left, Duration(1), shared::kCopyLifeMax);
  shared::Copy value;
  value.version = version;
  value.bytes = write_copy(parts_.seal ? &parts_.vault : nullptr, at.tenant, version, copy);
  co_return co_await parts_.copies.put_if_newer(name_of(at), std::move(value), life);
}

boost::asio::awaitable<shared::Stored> CacheCopies::keep(const Entry& entry) {
  const Address at{entry.id, entry.tenant->name(), entry.key};
  const CacheEngine::Watch before = engine_.watch(at);
  shared::Stored stored = shared::Stored::nowhere;
  if (entry.era > 0) {
    co_await begin_tenant(at.tenant);
    stored = co_await write(at, entry.version, copy_of(entry, now()));
  }
  if (stored == shared::Stored::nowhere) engine_.distrust_copies();
  // Somebody's is newer: the next read asks for it.
  if (stored == shared::Stored::older) engine_.outdate(at, entry.version + 1);
  // There is nothing to wait for.
  if (stored == shared::Stored::stored && !tracks_) engine_.confirm(at, before);
  co_return stored;
}

boost::asio::awaitable<void> CacheCopies::erase(const Address& at) {
  CacheCopy gone;
  gone.entry.key = at.key;
  gone.gone = true;
  const std::int64_t version = engine_.next_version();
  const auto stored = co_await write(at, version, std::move(gone));
  if (stored == shared::Stored::nowhere) engine_.distrust_copies();
}

boost::asio::awaitable<shared::Claimed> CacheCopies::claim(const Address& at, std::string lease,
                                                           Duration length) {
  if (parts_.claims == nullptr) co_return shared::Claimed::unknown;
  co_return co_await parts_.claims->claim(name_of(at), std::move(lease), length);
}

boost::asio::awaitable<void> CacheCopies::give_back(const Address& at, std::string lease) {
  if (parts_.claims != nullptr) {
    co_await parts_.claims->give_back(name_of(at), std::move(lease));
  }
}

// Once for a tenant: from where its generations are counted without a gap.
boost::asio::awaitable<void> CacheCopies::begin_tenant(std::string_view tenant) {
  Generations& generations = engine_.tenant(tenant).generations;
  if (generations.begun()) co_return;
  const std::string name(tenant);
  std::function<Task<std::int64_t>(sql::Transaction&)> work = [&name](sql::Transaction& tx) {
    return record::newest_cache_generation(tx, name);
  };
  const Result<std::int64_t> newest = co_await parts_.record.read<std::int64_t>(name, work);
  if (newest) generations.begin_at(*newest);
}

}  // namespace redoubt::cache
