// Sessions with a row in the record, the truth, and copies in the worker's memory and in the shared
// tier, if there is one. SESSION_STORAGE database, redis and hybrid.
#include "services/sessions/copies.hpp"
#include "services/sessions/flights.hpp"
#include "services/sessions/memory.hpp"
#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
#include "services/sessions/units.hpp"
#include "services/sessions/validation.hpp"

#include "base/bytes.hpp"
#include "record/answer_keeper.hpp"
#include "record/reach_keys.hpp"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

namespace redoubt::sessions {
namespace {

using record::keep_answer;
using record::Trust;
using record::with_answer_of;
using record::with_deadline_of;
using OptionalRow = std::optional<record::SessionRow>;

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

class RecordSessions final : public Sessions {
 public:
  RecordSessions(const SessionParts& parts, const SessionOptions& options)
      : parts_(parts),
        options_(options),
        metrics_(parts.metrics),
        codec_(parts.vault),
        trust_(parts.record, parts.clock, parts.grace),
        memory_(parts.vault, parts.invalidations, options.cache_bytes) {
    if (parts.timers != nullptr) flights_.emplace(*parts.timers);
  }

  Task<IssuedSession> create(const Context& context, NewSession request) override;

  std::optional<Result<VerifiedSession>> authenticate_now(std::string_view token) override {
    return answer_now(token, {});
  }
  Task<VerifiedSession> authenticate(std::string token) override {
    return answer(std::move(token), {});
  }
  std::optional<Result<VerifiedSession>> verify_now(const Context& context,
                                                    std::string_view token) override {
    auto verified = answer_now(token, context.caller.tenant);
    if (verified) note_grace(context, *verified);
    return verified;
  }
  Task<VerifiedSession> verify(const Context& context, std::string token) override {
    auto verified = co_await answer(std::move(token), context.caller.tenant);
    note_grace(context, verified);
    co_return verified;
  }

  Task<VerifiedSession> get(const Context& context, std::string id) override;
  Task<SessionPtr> update(const Context& context, std::string id, std::string patch,
                          std::optional<std::int64_t> if_version) override;
  Task<VerifiedSession> extend(const Context& context, std::string id, Duration idle_ttl) override;
  Task<IssuedSession> rotate(const Context& context, std::string id) override;
  Task<void> revoke(const Context& context, std::string id) override;
  Task<SessionPage> list(const Context& context, std::string user, std::size_t limit,
                         std::string cursor) override;
  Task<std::int64_t> revoke_all(const Context& context, std::string user,
                                std::string except) override;

  Task<std::int64_t> sweep(std::size_t batch) override {
    return sweep_all(parts_, metrics_, batch);
  }
  Task<void> flush_uses() override;

 private:
  // What is known of a token without asking anybody.
  struct Known {
    Hash128 key;
    WallTime now;
    Trust trust = Trust::none;
    SessionMemory::Entry* entry = nullptr;  // In memory, and good; until memory is used again.
    std::optional<TokenParts> parts;        // Of one that is not there, if it was written here.
  };
  Known look(std::string_view token);
  // `tenant`: the only one to answer for; empty: any.
  std::optional<Result<VerifiedSession>> answer_now(std::string_view token,
                                                    std::string_view tenant);
  Task<VerifiedSession> answer(std::string token, std::string tenant);
  Task<VerifiedSession> answer_after_write(Known known, std::string_view tenant);
  // Empty: somebody else must be asked, or the use be written first.
  std::optional<Result<VerifiedSession>> answer_known(const Known& known, std::string_view tenant);
  // As TokenCodec::authenticate(), once for the token that is asked about several times in a row,
  // as one is that is not in memory. `key`: of the token.
  std::optional<TokenParts> authenticate_once(std::string_view token, const Hash128& key);
  boost::asio::awaitable<std::optional<Result<VerifiedSession>>> answer_from_copy(
      const Known& known, const std::string& tenant);
  Task<VerifiedSession> answer_from_record(const Known& known, const std::string& tenant);

  // What memory answers, as far as it is trusted.
  VerifiedSession use_memory(const Known& known);
  // The row is that of the token's bearer, and good for the tenant.
  bool proves(const record::SessionRow& row, const TokenParts& parts, std::string_view tenant,
              WallTime now) const;
  // A session that was found outside of memory is answered with.
  struct Found {
    SessionMemory::Entry entry;
    bool keep = false;  // In memory: nothing changed while it was found.
  };
  struct Accepted {
    VerifiedSession verified;
    std::optional<Use> write;  // In the record before the answer.
  };
  Accepted accept(const Hash128& key, Found found, WallTime now);
  boost::asio::awaitable<void> copy(const record::SessionRow& row, std::string_view data,
                                    std::int64_t stamp, SessionCopies::Name name);
  std::int64_t copy_stamp() const { return parts_.copies ? parts_.copies->stamp() : 0; }

  // Also while no more uses can wait.
  bool needs_write_through(const SessionMemory::Entry& entry) const {
    return entry.note_after < kFlushPeriodMax || memory_.full();
  }
  // Its use must be in the record before the answer: unless the record is away, when it waits.
  bool must_write(const SessionMemory::Entry& entry, WallTime now, Trust trust) const {
    return trust != Trust::grace && needs_write_through(entry) &&
           SessionMemory::worth_noting(entry, now);
  }

  // Of the tenant, and not ended by a revocation that is not recorded yet.
  bool answers_for(const SessionMemory::Entry& entry, std::string_view tenant) const {
    const Session& session = *entry.session;
    return (tenant.empty() || session.tenant == tenant) &&
           !parts_.ends.cover({session.tenant, session.user, entry.id, session.created_at});
  }

  Task<void> end_unrecorded(const Target& target, record::AuditEvent audit, Error error);
  // What a request for `target` came to. When there is no such session in the tenant, the trail is
  // told whether there is one elsewhere: the one question that is not confined to the tenant.
  template <class T>
  Task<T> told(Result<T> outcome, const Context& context, const Target& target,
               std::string action) {
    if (!outcome && outcome.error().code == Errc::not_found) {
      co_await note_if_foreign(context, target, std::move(action));
    }
    co_return outcome;
  }
  boost::asio::awaitable<void> note_if_foreign(const Context& context, const Target& target,
                                               std::string action);
  // `tenant`: whose it must be; empty: anybody's.
  Task<OptionalRow> read_row(const Id128& id, std::string tenant);
  static record::Reach reach_of(const Target& target) {
    return {target.tenant, {record::reach::session(target.id)}};
  }
  static record::Reach reach_for(const Context& context, const Target& target) {
    return with_answer_of(context, with_deadline_of(context, reach_of(target)));
  }
  Task<void> flush_noted_uses();
  // What the record does not take waits.
  boost::asio::awaitable<void> write_use(const Use& use);
  Result<Target> target_of(const Context& context, std::string_view id) const;
  SessionPtr listed(const record::SessionRow& row) const;
  record::SessionRow new_row(const Context& context, const NewSession& request, WallTime now) const;
  SessionMemory::Entry entry_of(SessionPtr session, const Id128& id, const Stamps& stamps) const;

  SessionParts parts_;
  SessionOptions options_;
  SessionMetrics metrics_;
  TokenCodec codec_;
  struct Authentic {
    Hash128 key;
    TokenParts parts;
  };
  std::optional<Authentic> authentic_;  // The last one.
  record::CopyTrust trust_;
  SessionMemory memory_;
  std::optional<Flights> flights_;
};

// ---- Tokens ----

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
  std::optional<SessionCopy> found = co_await parts_.copies->find(known.parts->id, known.trust);
  const WallTime now = parts_.clock.wall();
  if (!found || !proves(found->row, *known.parts, tenant, now)) co_return std::nullopt;

  Found good{entry_of(make_session(found->row, std::move(found->data)), found->row.id, {})};
  good.entry.stamps = read_stamps(parts_.invalidations, *good.entry.session);
  good.keep = parts_.invalidations.generation() == generation;
  metrics_.from_copy.add();
  if (known.trust == Trust::fresh && SessionMemory::worth_noting(good.entry, now)) {
    // Whoever reads the copy next need not note the use again.
    const SessionPtr session = good.entry.session;
    found->row.last_seen_at = std::max(found->row.last_seen_at, now);
    co_await copy(found->row, session->data, found->era, SessionCopies::Name::known);
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
    if (!row || !proves(*row, *known.parts, tenant, now)) {
      metrics_.invalid.add();
      co_return fail(session_invalid());
    }
    RD_CO_TRY(data, open_data(parts_.vault, *row));
    Found found{entry_of(make_session(*row, std::move(data)), row->id, {})};
    found.entry.stamps = read_stamps(parts_.invalidations, *found.entry.session);
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

// ---- One session ----

record::SessionRow RecordSessions::new_row(const Context& context, const NewSession& request,
                                           WallTime now) const {
  record::SessionRow row;
  row.id = new_id(now, parts_.random);
  row.tenant = context.caller.tenant;
  row.user = request.user;
  row.agent = request.agent;
  row.device = request.device;
  row.address = request.address;
  row.created_at = now;
  row.last_seen_at = now;
  row.idle_ttl = request.idle_ttl.value_or(options_.idle_ttl);
  row.absolute_expires_at = now + request.absolute_ttl.value_or(options_.absolute_ttl);
  return row;
}

Task<IssuedSession> RecordSessions::create(const Context& context, NewSession request) {
  RD_CO_CHECK(check_new_session(request, kDataMax));
  Creation creation;
  creation.row = new_row(context, request, parts_.clock.wall());
  const TokenParts parts = TokenCodec::make_parts(creation.row.id, parts_.random);
  creation.row.verifier = codec_.verifier(parts);
  creation.row.data = seal_data(parts_.vault, creation.row, request.data);
  creation.per_user_max = options_.per_user_max;
  creation.audit = audit_event(context, "session.revoked", {});

  IssuedSession issued;
  issued.token = codec_.write(parts);
  issued.expires_at = creation.row.expires_at();
  issued.session = make_session(creation.row, std::move(request.data));
  const Stamps stamps = read_stamps(parts_.invalidations, *issued.session);
  const std::int64_t stamp = copy_stamp();
  std::function<Task<std::int64_t>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<std::int64_t> {
    RD_CO_TRY(ended, co_await create_unit(unit, creation));
    RD_CO_CHECK(co_await keep_answer(context, unit, issued));
    co_return ended;
  };
  // Its user's other sessions are what it may end, and nobody else is concerned.
  record::Reach reach{context.caller.tenant,
                      {record::reach::user(creation.row.tenant, creation.row.user)}};
  reach.deadline = context.deadline;
  reach = with_answer_of(context, std::move(reach));
  RD_CO_TRY(ended, co_await parts_.record.write<std::int64_t>(std::move(reach), work));

  metrics_.created.add();
  metrics_.revoked.add(static_cast<std::uint64_t>(ended));
  memory_.keep(memory_.key_of(issued.token), entry_of(issued.session, creation.row.id, stamps));
  co_await copy(creation.row, issued.session->data, stamp, SessionCopies::Name::fresh);
  co_return issued;
}

Result<Target> RecordSessions::target_of(const Context& context, std::string_view id) const {
  Target target;
  target.tenant = context.caller.tenant;
  target.now = parts_.clock.wall();
  target.ends = &parts_.ends;
  if (!parse_id(kIdPrefix, id, target.id)) return fail(not_found("session"));
  return target;
}

Task<VerifiedSession> RecordSessions::get(const Context& context, std::string id) {
  RD_CO_TRY(target, target_of(context, id));
  std::function<Task<OpenedSession>(sql::Transaction&)> find = [&](sql::Transaction& tx) {
    return find_live(tx, parts_.vault, target);
  };
  auto read = co_await parts_.record.read_by<OpenedSession>(record::reads_of(context), find);
  RD_CO_TRY(found, co_await told(std::move(read), context, target, "session.read"));
  VerifiedSession verified;
  verified.expires_at = found.row.expires_at();
  verified.session = make_session(found.row, std::move(found.data));
  co_return verified;
}

Task<SessionPtr> RecordSessions::update(const Context& context, std::string id, std::string patch,
                                        std::optional<std::int64_t> if_version) {
  Merge merge;
  RD_CO_TRY(target, target_of(context, id));
  merge.target = std::move(target);
  merge.patch = std::move(patch);
  merge.if_version = if_version;
  SessionPtr updated;
  std::function<Task<record::SessionRow>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<record::SessionRow> {
    RD_CO_TRY(merged, co_await merge_unit(unit, parts_.vault, merge));
    updated = make_session(merged.row, std::move(merged.data));
    RD_CO_CHECK(co_await keep_answer(context, unit, updated));
    co_return std::move(merged.row);
  };
  const std::int64_t stamp = copy_stamp();
  auto written =
      co_await parts_.record.write<record::SessionRow>(reach_for(context, merge.target), work);
  RD_CO_TRY(row, co_await told(std::move(written), context, merge.target, "session.updated"));
  co_await copy(row, updated->data, stamp, SessionCopies::Name::known);
  co_return updated;
}

Task<VerifiedSession> RecordSessions::extend(const Context& context, std::string id,
                                             Duration idle_ttl) {
  RD_CO_CHECK(check_lifetime(idle_ttl, "body.idle_ttl"));
  RD_CO_TRY(target, target_of(context, id));
  std::function<Task<VerifiedSession>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<VerifiedSession> {
    RD_CO_TRY(extended, co_await extend_unit(unit, parts_.vault, target, idle_ttl));
    VerifiedSession verified;
    verified.expires_at = extended.row.expires_at();
    verified.session = make_session(extended.row, std::move(extended.data));
    RD_CO_CHECK(co_await keep_answer(context, unit, verified));
    co_return verified;
  };
  auto written = co_await parts_.record.write<VerifiedSession>(reach_for(context, target), work);
  co_return co_await told(std::move(written), context, target, "session.extended");
}

Task<IssuedSession> RecordSessions::rotate(const Context& context, std::string id) {
  Rotation rotation;
  RD_CO_TRY(target, target_of(context, id));
  rotation.target = std::move(target);
  rotation.new_id = new_id(rotation.target.now, parts_.random);
  const TokenParts parts = TokenCodec::make_parts(rotation.new_id, parts_.random);
  rotation.new_verifier = codec_.verifier(parts);
  rotation.audit = audit_event(context, "session.rotated", id);
  IssuedSession issued;
  issued.token = codec_.write(parts);
  std::function<Task<record::SessionRow>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<record::SessionRow> {
    RD_CO_TRY(rotated, co_await rotate_unit(unit, parts_.vault, rotation));
    issued.expires_at = rotated.row.expires_at();
    issued.session = make_session(rotated.row, std::move(rotated.data));
    RD_CO_CHECK(co_await keep_answer(context, unit, issued));
    co_return std::move(rotated.row);
  };
  const std::int64_t stamp = copy_stamp();
  // The new one is the user's too: nobody ends or counts the user's sessions meanwhile.
  record::Reach reach = reach_for(context, rotation.target);
  RD_CO_TRY(row, co_await read_row(rotation.target.id, rotation.target.tenant));
  if (row) reach.keys.push_back(record::reach::user(row->tenant, row->user));
  auto written = co_await parts_.record.write<record::SessionRow>(std::move(reach), work);
  RD_CO_TRY(rotated,
            co_await told(std::move(written), context, rotation.target, "session.rotated"));

  metrics_.created.add();
  metrics_.revoked.add();
  if (parts_.copies != nullptr) co_await parts_.copies->end(rotation.target.id);
  co_await copy(rotated, issued.session->data, stamp, SessionCopies::Name::fresh);
  co_return issued;
}

Task<void> RecordSessions::revoke(const Context& context, std::string id) {
  RD_CO_TRY(target, target_of(context, id));
  const record::AuditEvent audit = audit_event(context, "session.revoked", id);
  std::function<Task<bool>(record::Unit&)> work = [&](record::Unit& unit) -> Task<bool> {
    RD_CO_TRY(ended, co_await revoke_unit(unit, target, audit));
    if (ended) {
      RD_CO_CHECK(co_await keep_answer(context, unit));
    }
    co_return ended;
  };
  auto ended = co_await parts_.record.write<bool>(with_answer_of(context, reach_of(target)), work);
  if (!ended && ended.error().code == Errc::unavailable) {
    co_return co_await end_unrecorded(target, audit, std::move(ended).error());
  }
  RD_CO_CHECK(ended);
  if (!*ended) {
    co_await note_if_foreign(context, target, "session.revoked");
    co_return fail(not_found("session"));
  }
  metrics_.revoked.add();
  if (parts_.copies != nullptr) co_await parts_.copies->end(target.id);
  co_return Result<void>{};
}

// Not for ids that name nothing, so that nobody fills the room for ends with them; unless nothing
// can be read either.
Task<void> RecordSessions::end_unrecorded(const Target& target, record::AuditEvent audit,
                                          Error error) {
  const auto row = co_await read_row(target.id, target.tenant);
  const bool none = row && (!*row || (*row)->tenant != target.tenant || (*row)->revoked);
  if (none) co_return fail(std::move(error));
  UnsavedEnd end{target.tenant, {}, target.id, target.now, std::move(audit)};
  Error answer = end_here(parts_, std::move(end), std::move(error));
  if (parts_.copies != nullptr) co_await parts_.copies->end(target.id);  // For the other instances.
  co_return fail(std::move(answer));
}

// ---- All of a user ----

// One whose data does not open is listed all the same: its user can still be told of it and end it.
SessionPtr RecordSessions::listed(const record::SessionRow& row) const {
  Result<std::string> data = open_data(parts_.vault, row);
  if (data) return make_session(row, std::move(*data));
  parts_.log.warn("session.unreadable", {{"tenant", row.tenant},
                                         {"session", format_id(kIdPrefix, row.id)},
                                         {"cause", data.error().message}});
  auto session = std::make_shared<Session>(*make_session(row, "{}"));
  session->readable = false;
  return session;
}

Task<SessionPage> RecordSessions::list(const Context& context, std::string user, std::size_t limit,
                                       std::string cursor) {
  RD_CO_CHECK(check_user(user, "path.user"));
  RD_CO_CHECK(check_page(limit));
  std::optional<Id128> before;
  if (!cursor.empty()) {
    const auto bytes = from_base64url(cursor);
    if (!bytes || bytes->size() != sizeof(Id128)) {
      co_return fail(invalid_argument("query.cursor", "must be the next_cursor of a page before"));
    }
    std::ranges::copy(*bytes, before.emplace().begin());
  }
  const record::SessionsOfUser whose{context.caller.tenant, std::move(user), parts_.clock.wall()};
  // One more than asked for, to know whether there are more.
  std::function<Task<std::vector<record::SessionRow>>(sql::Transaction&)> read =
      [&](sql::Transaction& tx) { return record::list_sessions(tx, whose, before, limit + 1); };
  record::Reach reach = record::reads_of(context);
  RD_CO_TRY(rows, co_await parts_.record.read_by<std::vector<record::SessionRow>>(std::move(reach),
                                                                                  read));

  SessionPage page;
  if (rows.size() > limit) {
    rows.pop_back();
    page.next_cursor = to_base64url(rows.back().id);
  }
  page.sessions.reserve(rows.size());
  for (const record::SessionRow& row : rows) {
    if (parts_.ends.cover(who_of(row))) continue;
    page.sessions.push_back(listed(row));
  }
  co_return page;
}

Task<std::int64_t> RecordSessions::revoke_all(const Context& context, std::string user,
                                              std::string except) {
  RD_CO_CHECK(check_user(user, "path.user"));
  std::optional<Id128> kept;
  if (!except.empty() && !parse_id(kIdPrefix, except, kept.emplace())) {
    co_return fail(invalid_argument("query.except", "must be the id of a session"));
  }
  co_return co_await end_all(parts_, metrics_, context, std::move(user), kept);
}

}  // namespace

std::unique_ptr<Sessions> make_record_sessions(const SessionParts& parts,
                                               const SessionOptions& options) {
  return std::make_unique<RecordSessions>(parts, options);
}

}  // namespace redoubt::sessions
