#include "services/sessions/record_sessions.hpp"

#include "services/sessions/validation.hpp"

#include "base/bytes.hpp"
#include "record/answer_keeper.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace redoubt::sessions {

using record::keep_answer;
using record::with_answer_of;

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
  const Stamps stamps = read_stamps(parts_.invalidations, Dependencies(*issued.session));
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

std::unique_ptr<Sessions> make_record_sessions(const SessionParts& parts,
                                               const SessionOptions& options) {
  return std::make_unique<RecordSessions>(parts, options);
}

}  // namespace redoubt::sessions
