#include "services/sessions/service.hpp"

#include "record/answer_keeper.hpp"
#include "record/reach_keys.hpp"
#include "services/sessions/units.hpp"

#include <functional>

namespace redoubt::sessions {
namespace {

// So that other writers never wait long for a list of revocations.
constexpr std::size_t kEndsPerUnit = 64;

constexpr std::string_view kLookups = "redoubt_session_lookups_total";
constexpr std::string_view kLookupsHelp =
    "Tokens looked at, by what answered: this process's memory, a copy in the shared tier, the "
    "record, or none because the token is not valid.";

}  // namespace

SessionMetrics::SessionMetrics(Metrics& metrics)
    : created(metrics.counter("redoubt_sessions_created_total", "Sessions created.")),
      revoked(metrics.counter("redoubt_sessions_revoked_total",
                              "Sessions ended by request, by rotation or by the cap of a user.")),
      expired(metrics.counter("redoubt_sessions_expired_total",
                              "Expired sessions removed from the record.")),
      from_memory(metrics.counter(kLookups, kLookupsHelp, {{"result", "memory"}})),
      from_copy(metrics.counter(kLookups, kLookupsHelp, {{"result", "copy"}})),
      from_record(metrics.counter(kLookups, kLookupsHelp, {{"result", "record"}})),
      by_grace(metrics.counter("redoubt_sessions_by_grace_total",
                               "Sessions verified by a copy while the record was away.")),
      invalid(metrics.counter(kLookups, kLookupsHelp, {{"result", "invalid"}})),
      lookup(metrics.histogram("redoubt_session_lookup_duration_seconds",
                               "How long looking up a session in the record took.")) {}

std::unique_ptr<Sessions> make_sessions(const SessionParts& parts, const SessionOptions& options) {
  return options.storage == SessionStorage::token ? make_sealed_sessions(parts, options)
                                                  : make_record_sessions(parts, options);
}

namespace {

// By then every worker has tried to flush its uses several times.
constexpr Duration kFlushedAfter = 12 * kFlushPeriodMax;

// Every worker has flushed its uses, since the record came back and since it last refused one.
// Until then a row may look idle whose session was used a moment ago.
bool uses_are_recorded(const SessionParts& parts, WallTime now) {
  const record::Status status = parts.record.status();
  return status.state == record::State::normal && now - status.since >= kFlushedAfter &&
         parts.use_flushes.all_good_since(parts.clock.boot() - kFlushedAfter);
}

}  // namespace

Error session_invalid() {
  return unauthenticated("session_invalid", "The session is not valid: log in again.");
}

record::AuditEvent audit_event(const Context& context, std::string action, std::string target) {
  record::AuditEvent event;
  event.tenant = context.caller.tenant;
  event.principal = context.caller.principal;
  event.action = std::move(action);
  event.target = std::move(target);
  event.request_id = context.request_id;
  event.address = context.client_address;
  return event;
}

Task<std::int64_t> sweep_all(const SessionParts& parts, SessionMetrics& metrics,
                             std::size_t batch) {
  const WallTime now = parts.clock.wall();
  const auto size = static_cast<std::int64_t>(batch);
  const record::IdleRows idle =
      uses_are_recorded(parts, now) ? record::IdleRows::sweep : record::IdleRows::keep;
  std::int64_t deleted = 0;
  std::int64_t rearmed = size;
  while (rearmed > 0 && deleted < size) {
    const auto left = static_cast<std::size_t>(size - deleted);
    const SweepLook look{now, left, idle, now + kFlushedAfter};
    std::function<Task<Sweep>(record::Unit&)> work = [look](record::Unit& unit) {
      return sweep_unit(unit, look);
    };
    RD_CO_TRY(sweep, co_await parts.record.write<Sweep>(work));
    metrics.expired.add(static_cast<std::uint64_t>(sweep.swept.expired));
    deleted += sweep.swept.expired + sweep.swept.revoked;
    rearmed = sweep.rearmed;
  }
  co_return deleted;
}

Task<std::int64_t> end_all(const SessionParts& parts, SessionMetrics& metrics,
                           const Context& context, std::string user, std::optional<Id128> except) {
  UserRevocation revocation;
  revocation.whose = {context.caller.tenant, user, parts.clock.wall()};
  revocation.except = except;
  revocation.audit = audit_event(context, "session.revoked_all", "user:" + user);
  std::function<Task<std::int64_t>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<std::int64_t> {
    RD_CO_TRY(count, co_await revoke_all_unit(unit, revocation));
    RD_CO_CHECK(co_await record::keep_answer(context, unit, count));
    co_return count;
  };
  record::Reach reach{context.caller.tenant, {record::reach::user(context.caller.tenant, user)}};
  reach = record::with_answer_of(context, std::move(reach));
  auto ended = co_await parts.record.write<std::int64_t>(std::move(reach), work);
  if (!ended && ended.error().code == Errc::unavailable) {
    UnsavedEnd end{context.caller.tenant, user, except, revocation.whose.now, revocation.audit};
    co_return fail(end_here(parts, std::move(end), std::move(ended).error()));
  }
  if (!ended) co_return ended;
  metrics.revoked.add(static_cast<std::uint64_t>(*ended));
  parts.log.info("session.revoked_all",
                 {{"tenant", context.caller.tenant}, {"user", user}, {"count", *ended}});
  co_return ended;
}

Error end_here(const SessionParts& parts, UnsavedEnd end, Error error) {
  if (parts.ends.add(std::move(end))) {
    error.message +=
        " This server refuses what was to end from now on, and records it when it can.";
  }
  return error;
}

namespace {

// How many had a row that was live.
Task<std::int64_t> save_unit(record::Unit& unit, const std::vector<UnsavedEnd>& ends) {
  std::int64_t revoked = 0;
  for (const UnsavedEnd& end : ends) {
    if (end.user.empty()) {
      const Target target{end.tenant, *end.id, end.at, nullptr};
      RD_CO_TRY(done, co_await revoke_unit(unit, target, end.audit));
      revoked += done ? 1 : 0;
      continue;
    }
    const UserRevocation all{{end.tenant, end.user, end.at}, end.id, end.audit, end.at};
    RD_CO_TRY(count, co_await revoke_all_unit(unit, all));
    revoked += count;
  }
  co_return revoked;
}

}  // namespace

Task<void> save_ends(const SessionParts& parts, SessionMetrics& metrics) {
  for (;;) {
    const std::vector<UnsavedEnd> ends = parts.ends.take(kEndsPerUnit);
    if (ends.empty()) co_return Result<void>{};
    std::function<Task<std::int64_t>(record::Unit&)> work = [&ends](record::Unit& unit) {
      return save_unit(unit, ends);
    };
    auto revoked = co_await parts.record.write<std::int64_t>(work);
    if (!revoked) {
      parts.ends.put_back(ends);
      co_return fail(std::move(revoked).error());
    }
    parts.ends.saved(ends);
    metrics.revoked.add(static_cast<std::uint64_t>(*revoked));
    parts.log.info("session.ends_saved", {{"count", ends.size()}});
  }
}

}  // namespace redoubt::sessions
