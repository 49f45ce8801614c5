// Who bears a token: from memory, from the copy, from the record; and the uses that this notes.
#include "services/sessions/record_sessions.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

namespace redoubt::sessions {

using record::Trust;

namespace {

// A copy is worth keeping only when nothing changed while it was read; how often to try for that.
constexpr int kReadAttempts = 3;

// How long one waits for another's read of the same session before reading it as well.
constexpr Duration kFlightMax{100};

// Uses are written this many to a unit, so that a flush never holds up other writers for long.
constexpr std::size_t kUsesPerUnit = 512;

Task<void> store_uses(record::Unit& unit, std::span<const Use> uses) {
  for (const Use& use : uses) {
    RD_CO_CHECK(co_await record::store_session_use(unit, use.id, use.at));
  }
  co_return Result<void>{};
}

// Half of the slack: the other half is for the way to the record.
Duration note_after(Duration idle_ttl) {
  return record::idle_slack(idle_ttl) / 2;
}

}  // namespace

RecordSessions::Known RecordSessions::look(std::string_view token) {
  Known known;
  if (token.size() != kTokenLength) return known;
  known.now = parts_.clock.wall();
  known.key = memory_.key_of(token);
  known.trust = trust_.now();
  if (known.trust != Trust::none) known.entry = memory_.find(known.key, known.now);
  if (known.entry == nullptr) known.parts = authenticate_once(token, known.key);
  return known;
}

std::optional<Result<VerifiedSession>> RecordSessions::answer_now(std::string_view token,
                                                                  std::string_view tenant) {
  return answer_known(look(token), tenant);
}

std::optional<Result<VerifiedSession>> RecordSessions::answer_known(const Known& known,
                                                                    std::string_view tenant) {
  if (known.parts) return {};
  if (known.entry != nullptr) {
    if (must_write(*known.entry, known.now, known.trust)) return {};
    if (answers_for(*known.entry, tenant)) return use_memory(known);
  }
  metrics_.invalid.add();
  return fail(session_invalid());
}

VerifiedSession RecordSessions::use_memory(const Known& known) {
  metrics_.from_memory.add();
  VerifiedSession verified = memory_.use(known.key, *known.entry, known.now);
  verified.by_grace = known.trust == Trust::grace;
  if (verified.by_grace) metrics_.by_grace.add();
  return verified;
}

std::optional<TokenParts> RecordSessions::authenticate_once(std::string_view token,
                                                            const Hash128& key) {
  if (authentic_ && authentic_->key == key) return authentic_->parts;
  const auto parts = codec_.authenticate(token);
  if (parts) authentic_ = Authentic{key, *parts};
  return parts;
}

// One at a time looks a session up elsewhere; the others find what the first has left in memory.
Task<VerifiedSession> RecordSessions::answer(std::string token, std::string tenant) {
  Known known = look(token);
  if (known.parts && flights_ && flights_->under_way(known.parts->id)) {
    co_await flights_->wait(known.parts->id, kFlightMax);
    known = look(token);
  }
  if (auto answer = answer_known(known, tenant)) co_return std::move(*answer);
  if (known.entry != nullptr) co_return co_await answer_after_write(known, tenant);

  const Id128 id = known.parts->id;
  std::optional<Flights::Flight> flight;
  if (flights_ && !flights_->under_way(id)) flight.emplace(*flights_, id);
  if (parts_.copies != nullptr) {
    auto answer = co_await answer_from_copy(known, tenant);
    if (answer) co_return std::move(*answer);
  }
  auto answer = co_await answer_from_record(known, tenant);
  if (answer || answer.error().code != Errc::unavailable) co_return answer;
  // Who asked first found out that the record is away: memory may answer for it now.
  auto again = answer_now(token, tenant);
  co_return again ? std::move(*again) : std::move(answer);
}

// Memory answers, but its use must be in the record before that. While the record is away the copy
// still answers, and the use waits.
Task<VerifiedSession> RecordSessions::answer_after_write(Known known, std::string_view tenant) {
  if (!answers_for(*known.entry, tenant)) {
    metrics_.invalid.add();
    co_return fail(session_invalid());
  }
  const Use use{known.key, known.entry->id, known.now};
  known.entry->noted = known.now;
  const VerifiedSession verified = use_memory(known);
  co_await write_use(use);
  co_return verified;
}

bool RecordSessions::proves(const record::SessionRow& row, const TokenParts& parts,
                            std::string_view tenant, WallTime now) const {
  return constant_time_equal(row.verifier, codec_.verifier(parts)) && row.live(now) &&
         (tenant.empty() || row.tenant == tenant) && !parts_.ends.cover(who_of(row));
}

// Empty: the record decides.
boost::asio::awaitable<std::optional<Result<VerifiedSession>>> RecordSessions::answer_from_copy(
    const Known& known, const std::string& tenant) {
  const std::uint64_t generation = parts_.invalidations.generation();
  if (known.trust == Trust::none) co_return std::nullopt;
  std::optional<GoodCopy> found = co_await parts_.copies->find(known.parts->id, known.trust);
  if (!found) co_return std::nullopt;
  const WallTime now = parts_.clock.wall();
  record::SessionRow& row = found->copy.row;
  if (!proves(row, *known.parts, tenant, now)) co_return std::nullopt;

  auto session = make_session(row, std::move(found->id), std::move(found->copy.data));
  const Stamps stamps = read_stamps(parts_.invalidations, found->on);
  Found good{entry_of(std::move(session), row.id, stamps)};
  good.keep = parts_.invalidations.generation() == generation;
  metrics_.from_copy.add();
  if (known.trust == Trust::fresh && SessionMemory::worth_noting(good.entry, now)) {
    // Whoever reads the copy next need not note the use again.
    const SessionPtr kept = good.entry.session;
    row.last_seen_at = std::max(row.last_seen_at, now);
    co_await copy(row, kept->data, found->copy.era, SessionCopies::Name::known);
  }
  Accepted accepted = accept(known.key, std::move(good), now);
  if (accepted.write) co_await write_use(*accepted.write);
  if (known.trust == Trust::grace) {
    accepted.verified.by_grace = true;
    metrics_.by_grace.add();
  }
  co_return std::move(accepted.verified);
}

Task<VerifiedSession> RecordSessions::answer_from_record(const Known& known,
                                                         const std::string& tenant) {
  const BootTime began = parts_.clock.boot();
  for (int attempt = 1;; ++attempt) {
    const std::uint64_t generation = parts_.invalidations.generation();
    const std::int64_t stamp = copy_stamp();
    RD_CO_TRY(row, co_await read_row(known.parts->id, tenant));
    const WallTime now = parts_.clock.wall();
    const WallTime recorded = row ? row->last_seen_at : WallTime{};
    // The use may wait for the record, or be lost with a record that went back.
    if (row) row->last_seen_at = std::max(recorded, memory_.last_seen(known.key));
    if (!row || !proves(*row, *known.parts, tenant, now)) {
      metrics_.invalid.add();
      co_return fail(session_invalid());
    }
    RD_CO_TRY(data, open_data(parts_.vault, *row));
    Found found{entry_of(make_session(*row, std::move(data)), row->id, {})};
    found.entry.noted = recorded;
    row->last_seen_at = recorded;  // A copy says what the record knows: others note uses by it.
    found.entry.stamps = read_stamps(parts_.invalidations, Dependencies(*found.entry.session));
    found.keep = parts_.invalidations.generation() == generation;
    if (!found.keep && attempt < kReadAttempts) continue;

    metrics_.from_record.add();
    metrics_.lookup.observe_ns((parts_.clock.boot() - began).count());
    const SessionPtr session = found.entry.session;
    const Accepted accepted = accept(known.key, std::move(found), now);
    if (accepted.write) co_await write_use(*accepted.write);
    co_await copy(*row, session->data, stamp, SessionCopies::Name::known);
    co_return accepted.verified;
  }
}

RecordSessions::Accepted RecordSessions::accept(const Hash128& key, Found found, WallTime now) {
  SessionMemory::Entry& entry = found.entry;
  Accepted accepted;
  const Trust trust = trust_.now();
  if (must_write(entry, now, trust)) {
    accepted.write = Use{key, entry.id, now};
    entry.noted = now;
  }
  accepted.verified = memory_.use(key, entry, now);
  if (found.keep && trust != Trust::none) {
    memory_.keep(key, std::move(entry));
  } else {
    // Copies may be trusted again before the journal tells of what this read has seen.
    memory_.forget_older(key, entry.session->version);
  }
  return accepted;
}

boost::asio::awaitable<void> RecordSessions::copy(const record::SessionRow& row,
                                                  std::string_view data, std::int64_t stamp,
                                                  SessionCopies::Name name) {
  if (parts_.copies != nullptr) co_await parts_.copies->keep(row, data, stamp, name);
}

Task<OptionalRow> RecordSessions::read_row(const Id128& id, std::string tenant) {
  std::function<Task<OptionalRow>(sql::Transaction&)> find = [&id](sql::Transaction& tx) {
    return record::find_session(tx, id);
  };
  co_return co_await parts_.record.read<OptionalRow>(std::move(tenant), find);
}

boost::asio::awaitable<void> RecordSessions::note_if_foreign(const Context& context,
                                                             const Target& target,
                                                             std::string action) {
  std::function<Task<bool>(sql::Transaction&)> look = [&target](sql::Transaction& tx) {
    return record::is_session_of_another(tx, target.id, target.tenant);
  };
  const Result<bool> foreign = co_await parts_.record.read<bool>(look);
  if (!foreign || !*foreign) co_return;
  const std::string id = format_id(kIdPrefix, target.id);
  parts_.refusals.note_denial(audit_event(context, std::move(action), id));
}

boost::asio::awaitable<void> RecordSessions::write_use(const Use& use) {
  std::function<Task<void>(record::Unit&)> work = [use](record::Unit& unit) {
    return record::store_session_use(unit, use.id, use.at);
  };
  record::Reach reach;
  reach.keys = {record::reach::session(use.id)};
  const auto written = co_await parts_.record.write_within(std::move(reach), std::move(work));
  if (!written) {
    parts_.use_flushes.failed(parts_.clock.boot());
    memory_.note(use);
  }
}

SessionMemory::Entry RecordSessions::entry_of(SessionPtr session, const Id128& id,
                                              const Stamps& stamps) const {
  SessionMemory::Entry entry;
  entry.id = id;
  entry.stamps = stamps;
  entry.last_seen = session->last_seen_at;
  entry.noted = session->last_seen_at;
  entry.note_after = note_after(session->idle_ttl);
  entry.idle_ttl = session->idle_ttl;
  entry.absolute_expires_at = session->absolute_expires_at;
  entry.session = std::move(session);
  return entry;
}

Task<void> RecordSessions::flush_uses() {
  const auto saved = co_await save_ends(parts_, metrics_);
  RD_CO_CHECK(co_await flush_noted_uses());
  co_return saved;
}

Task<void> RecordSessions::flush_noted_uses() {
  std::vector<Use> uses = memory_.take_uses();
  std::span<const Use> left = uses;
  while (!left.empty()) {
    const auto chunk = left.first(std::min(left.size(), kUsesPerUnit));
    std::function<Task<void>(record::Unit&)> work = [chunk](record::Unit& unit) {
      return store_uses(unit, chunk);
    };
    auto written = co_await parts_.record.write_unit(work);
    if (!written) {
      parts_.use_flushes.failed(parts_.clock.boot());
      memory_.put_back(left);
      co_return written;
    }
    memory_.recorded(chunk);
    left = left.subspan(chunk.size());
  }
  co_return Result<void>{};
}

}  // namespace redoubt::sessions
