#include "services/sessions/copies.hpp"

#include "services/sessions/token.hpp"

#include "local/invalidation_names.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace redoubt::sessions {
namespace {

namespace names = local::invalidation;

constexpr std::string_view kFound = "redoubt_session_copies_total";
constexpr std::string_view kFoundHelp =
    "Copies of sessions found in the shared tier: good, overtaken by a change or too old to tell, "
    "or not to be opened.";

// A token says which session it is of, not which tenant's: so the id stands where others have the
// tenant, and sessions spread over a cluster.
shared::CopyName name_of(std::string_view id) {
  return {.noun = shared::Noun::session, .tenant = id, .id = "copy"};
}

}  // namespace

SessionCopies::SessionCopies(const SessionCopiesParts& parts)
    : parts_(parts),
      good_(parts.metrics.counter(kFound, kFoundHelp, {{"result", "good"}})),
      stale_(parts.metrics.counter(kFound, kFoundHelp, {{"result", "stale"}})),
      unreadable_(parts.metrics.counter(kFound, kFoundHelp, {{"result", "unreadable"}})) {}

bool SessionCopies::may_answer(const SessionCopy& copy, const Dependencies& on,
                               record::Trust trust) const {
  if (trust == record::Trust::fresh && parts_.clock.boot() >= parts_.record.fresh_until()) {
    return false;
  }
  const shared::Changes::Dependency each[] = {
      {on.session, copy.row.version}, {on.user, 0}, {on.tenant, 0}};
  return parts_.changes.allows(copy.era, each);
}

boost::asio::awaitable<std::optional<GoodCopy>> SessionCopies::find(Id128 id,
                                                                    record::Trust trust) {
  std::string text = format_id(kIdPrefix, id);
  const shared::View view =
      trust == record::Trust::grace ? shared::View::as_last_known : shared::View::fresh;
  const std::optional<shared::Copy> found = co_await parts_.copies.get(name_of(text), view);
  if (!found) co_return std::nullopt;
  co_return judge(id, std::move(text), *found, trust);
}

std::optional<GoodCopy> SessionCopies::judge(const Id128& id, std::string text,
                                             const shared::Copy& found, record::Trust trust) {
  std::optional<SessionCopy> copy = open_copy(parts_.vault, id, found.version, found.bytes);
  if (!copy) {
    unreadable_.add();
    return std::nullopt;
  }
  Dependencies on(copy->row.tenant, copy->row.user, text);
  if (!may_answer(*copy, on, trust)) {
    stale_.add();
    return std::nullopt;
  }
  good_.add();
  return GoodCopy{std::move(*copy), std::move(text), std::move(on)};
}

boost::asio::awaitable<void> SessionCopies::keep(const record::SessionRow& row,
                                                 std::string_view data, std::int64_t stamp,
                                                 Name name) {
  if (stamp == 0 || !parts_.state.usable()) co_return;
  const Duration left = row.absolute_expires_at - parts_.clock.wall();
  if (left <= Duration(0)) co_return;
  SessionCopy copy;
  copy.row = row;
  copy.data = data;
  copy.era = stamp;
  shared::Copy sealed;
  sealed.version = row.version;
  sealed.bytes = seal_copy(parts_.vault, copy);
  const std::string id = format_id(kIdPrefix, row.id);
  const Duration life = std::min(left, kCopyLife);
  if (name == Name::fresh) {
    co_await parts_.copies.put(name_of(id), std::move(sealed), life);
  } else {
    co_await parts_.copies.put_if_newer(name_of(id), std::move(sealed), life);
  }
}

boost::asio::awaitable<void> SessionCopies::end(Id128 id) {
  const std::string text = format_id(kIdPrefix, id);
  co_await parts_.copies.bury(name_of(text), kCopyLife);
}

record::JournalListener listen_for_copies(shared::Changes& changes) {
  return [&changes](const record::JournalEntry& entry) {
    using Kind = record::JournalEntry::Kind;
    switch (entry.kind) {
      case Kind::session:
        return changes.heard(names::session(entry.tenant, entry.key),
                             entry.value > 0 ? entry.value : shared::Changes::kEnds);
      case Kind::user:
        return changes.heard(names::user(entry.tenant, entry.key));
      case Kind::tenant:
        return changes.heard(names::tenant(entry.tenant));
      case Kind::everything:
        return changes.heard_everything();
      case Kind::api_key:
      case Kind::cache:
      case Kind::key_ring:
        return;
    }
  };
}

}  // namespace redoubt::sessions
