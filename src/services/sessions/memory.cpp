#include "services/sessions/memory.hpp"

#include <algorithm>
#include <functional>

namespace redoubt::sessions {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kUsesReserved = 1024;  // So that noting a use rarely allocates.

// What an entry costs beyond the text of its session: itself, the cache's node and index, and the
// session's control block.
constexpr std::size_t kEntryOverhead =
    sizeof(SessionMemory::Entry) + sizeof(Hash128) + sizeof(Session) + 96;

std::size_t weight_of(const Session& session) {
  return kEntryOverhead + session.id.size() + session.tenant.size() + session.user.size() +
         session.agent.size() + session.device.size() + session.address.size() +
         session.data.size();
}

bool fresh(const local::Invalidations& invalidations, const Stamps& stamps) {
  for (std::size_t i = 0; i < stamps.slots.size(); ++i) {
    if (invalidations.stamp_of(stamps.slots[i]) != stamps.values[i]) return false;
  }
  return true;
}

// Of very many sessions none is in the CPU's caches: its lines are on their way while the copy is
// still being judged.
void prefetch(const Session& session) {
  const char* const begin = reinterpret_cast<const char*>(&session);
  for (std::size_t at = 0; at < sizeof session; at += kCacheLine) __builtin_prefetch(begin + at);
}

SipKey sip_key(const Vault& vault) {
  const auto [k0, k1] = vault.process_key();
  return {k0, k1};
}

}  // namespace

Stamps read_stamps(const local::Invalidations& invalidations, const Dependencies& on) {
  Stamps stamps;
  stamps.slots = {invalidations.slot(on.session), invalidations.slot(on.user),
                  invalidations.slot(on.tenant)};
  for (std::size_t i = 0; i < stamps.slots.size(); ++i) {
    stamps.values[i] = invalidations.stamp_of(stamps.slots[i]);
  }
  return stamps;
}

SessionMemory::SessionMemory(const Vault& vault, const local::Invalidations& invalidations,
                             std::size_t bytes_max, std::size_t uses_max)
    : key_(sip_key(vault)),
      invalidations_(invalidations),
      entries_({.weight_max = bytes_max, .entries_max = bytes_max / kEntryOverhead}),
      uses_max_(uses_max) {
  uses_.reserve(kUsesReserved);
}

SessionMemory::Entry* SessionMemory::find(const Hash128& key, WallTime now) {
  Entry* const entry = entries_.find(key);
  if (entry == nullptr) return nullptr;
  prefetch(*entry->session);
  if (!fresh(invalidations_, entry->stamps)) return nullptr;
  if (now >= entry->absolute_expires_at) return nullptr;
  if (now >= entry->last_seen + entry->idle_ttl) return nullptr;
  return entry;
}

void SessionMemory::keep(const Hash128& key, Entry entry) {
  const Entry* const known = entries_.peek(key);
  if (known != nullptr && known->session->version > entry.session->version) return;
  const std::size_t weight = weight_of(*entry.session);
  entries_.insert(key, std::move(entry), weight);
}

void SessionMemory::forget_older(const Hash128& key, std::int64_t version) {
  const Entry* const known = entries_.peek(key);
  if (known != nullptr && known->session->version < version) entries_.erase(key);
}

WallTime SessionMemory::last_seen(const Hash128& key) const {
  const Entry* const known = entries_.peek(key);
  return known == nullptr ? WallTime{} : known->last_seen;
}

VerifiedSession SessionMemory::use(const Hash128& key, Entry& entry, WallTime now) {
  if (worth_noting(entry, now) && note(Use{key, entry.id, now})) entry.noted = now;
  entry.last_seen = std::max(entry.last_seen, now);
  return {entry.session, std::min(entry.absolute_expires_at, now + entry.idle_ttl)};
}

std::vector<Use> SessionMemory::take_uses() {
  std::vector<Use> uses;
  uses.reserve(kUsesReserved);
  uses.swap(uses_);
  return uses;
}

void SessionMemory::put_back(std::span<const Use> uses) {
  uses_.insert(uses_.end(), uses.begin(), uses.end());
  std::ranges::sort(uses_, [](const Use& a, const Use& b) {
    return a.id != b.id ? a.id < b.id : a.at > b.at;  // The latest of a session first.
  });
  const auto older =
      std::ranges::unique(uses_, [](const Use& a, const Use& b) { return a.id == b.id; });
  uses_.erase(older.begin(), older.end());
  if (uses_.size() <= uses_max_) return;
  const auto last = uses_.begin() + static_cast<std::ptrdiff_t>(uses_max_);
  std::ranges::nth_element(uses_, last, std::ranges::greater(), &Use::at);
  uses_.erase(last, uses_.end());
}

void SessionMemory::recorded(std::span<const Use> uses) {
  for (const Use& use : uses) {
    const Entry* const known = entries_.peek(use.key);
    if (known == nullptr || known->session->last_seen_at >= use.at) continue;
    auto session = std::make_shared<Session>(*known->session);
    session->last_seen_at = use.at;
    entries_.find(use.key)->session = std::move(session);
  }
}

}  // namespace redoubt::sessions
