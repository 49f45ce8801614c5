// SESSION_STORAGE=token: the token is the session. What needs a row is refused and says so; what is
// left is creating, verifying, and ending all sessions of a user or a tenant at once.
//
// A sealed token cannot note a use, so it does not slide: it lives for the shorter of the idle and
// the absolute lifetime. Each verification asks two epochs, from memory when they are known.
//
// No row shows that a token needs its key, so the key's own row says until when one may: raised
// before a token is given away, and so far ahead that few tokens pay for it.
#include "services/sessions/memory.hpp"
#include "services/sessions/sealed_token.hpp"
#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
#include "services/sessions/validation.hpp"

#include "record/key_rows.hpp"
#include "record/session_rows.hpp"
#include "record/tenant_rows.hpp"

#include <algorithm>
#include <functional>

namespace redoubt::sessions {
namespace {

// How far ahead of a token's end its key is claimed.
constexpr Duration kClaimAhead{600'000};

struct Epochs {
  std::int64_t user = 0;
  record::TenantStanding tenant;
};

// A token is good when it is of the user's epoch or a later one: an epoch that no living token is
// older than is forgotten, and reads as 0.
Task<Epochs> read_epochs(sql::Transaction& tx, const Session& session) {
  Epochs epochs;
  RD_CO_TRY(user, co_await record::user_epoch(tx, session.tenant, session.user));
  RD_CO_TRY(tenant, co_await record::tenant_standing(tx, session.tenant));
  epochs.user = user;
  epochs.tenant = tenant;
  co_return epochs;
}

Error not_kept(std::string_view what) {
  return Error(Errc::conflict, "session_not_stored",
               std::string(what) +
                   " needs a stored session, and SESSION_STORAGE=token stores none: set "
                   "SESSION_STORAGE=database, or end all sessions of the user.");
}

class SealedSessions final : public Sessions {
 public:
  SealedSessions(const SessionParts& parts, const SessionOptions& options)
      : parts_(parts),
        options_(options),
        metrics_(parts.metrics),
        trust_(parts.record, parts.clock, parts.grace),
        memory_(parts.vault, parts.invalidations, options.cache_bytes) {
    if (options.per_user_max > 0) {
      parts_.log.warn("session.cap_ignored", {{"storage", "token"}, {"cap", options.per_user_max}});
    }
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

  Task<VerifiedSession> get(const Context&, std::string) override {
    co_return fail(not_kept("Reading a session by its id"));
  }
  Task<SessionPtr> update(const Context&, std::string, std::string,
                          std::optional<std::int64_t>) override {
    co_return fail(not_kept("Updating a session"));
  }
  Task<VerifiedSession> extend(const Context&, std::string, Duration) override {
    co_return fail(not_kept("Extending a session"));
  }
  Task<IssuedSession> rotate(const Context&, std::string) override {
    co_return fail(not_kept("Rotating a session"));
  }
  Task<void> revoke(const Context&, std::string) override {
    co_return fail(not_kept("Ending one session"));
  }
  Task<SessionPage> list(const Context&, std::string, std::size_t, std::string) override {
    co_return fail(not_kept("Listing sessions"));
  }

  Task<std::int64_t> revoke_all(const Context& context, std::string user,
                                std::string except) override {
    RD_CO_CHECK(check_user(user, "path.user"));
    if (!except.empty()) co_return fail(not_kept("Keeping one session"));
    co_return co_await end_all(parts_, metrics_, context, std::move(user), std::nullopt);
  }

  // Rows of the time before the storage was changed.
  Task<std::int64_t> sweep(std::size_t batch) override {
    return sweep_all(parts_, metrics_, batch);
  }
  Task<void> flush_uses() override { return save_ends(parts_, metrics_); }

 private:
  std::optional<Result<VerifiedSession>> answer_now(std::string_view token,
                                                    std::string_view tenant);
  Task<VerifiedSession> answer(std::string token, std::string tenant);
  bool ended_here(const SessionMemory::Entry& entry) const {
    const Session& session = *entry.session;
    return parts_.ends.cover({session.tenant, session.user, entry.id, session.created_at});
  }
  Task<Epochs> epochs_of(const Session& session);
  Task<void> claim(const KeyId& key, WallTime until);

  // What the record knows to be claimed.
  struct Claim {
    KeyId key{};
    WallTime until;
  };

  SessionParts parts_;
  SessionOptions options_;
  SessionMetrics metrics_;
  record::CopyTrust trust_;  // In what memory knows of the epochs.
  SessionMemory memory_;
  Claim claimed_;
};

// Keeps `key` in the ring until `until`. Errors: those of the record; the token may not be given
// away then, because nothing would keep its key.
Task<void> SealedSessions::claim(const KeyId& key, WallTime until) {
  if (claimed_.key == key && until <= claimed_.until) co_return Result<void>{};
  const Claim wanted{key, until + kClaimAhead};
  std::function<Task<bool>(record::Unit&)> work = [wanted](record::Unit& unit) {
    return record::note_sealed_until(unit, wanted.key, wanted.until);
  };
  RD_CO_TRY(noted, co_await parts_.record.write<bool>(work));
  if (!noted) co_return fail(internal("the key of a new session token has left the ring"));
  if (claimed_.key != key || claimed_.until < wanted.until) claimed_ = wanted;
  co_return Result<void>{};
}

Task<Epochs> SealedSessions::epochs_of(const Session& session) {
  std::function<Task<Epochs>(sql::Transaction&)> read = [&session](sql::Transaction& tx) {
    return read_epochs(tx, session);
  };
  co_return co_await parts_.record.read<Epochs>(session.tenant, read);
}

Task<IssuedSession> SealedSessions::create(const Context& context, NewSession request) {
  RD_CO_CHECK(check_new_session(request, kSealedDataMax));
  const WallTime now = parts_.clock.wall();
  const Duration idle = request.idle_ttl.value_or(options_.idle_ttl);
  const Duration absolute = request.absolute_ttl.value_or(options_.absolute_ttl);
  SealedToken sealed;
  Session& session = sealed.session;
  session.id = format_id(kIdPrefix, new_id(now, parts_.random));
  session.tenant = context.caller.tenant;
  session.user = std::move(request.user);
  session.agent = std::move(request.agent);
  session.device = std::move(request.device);
  session.address = std::move(request.address);
  session.data = std::move(request.data);
  session.idle_ttl = std::min(idle, absolute);
  session.created_at = now;
  session.last_seen_at = now;
  session.absolute_expires_at = now + session.idle_ttl;

  RD_CO_TRY(epochs, co_await epochs_of(session));
  if (!epochs.tenant.enabled) {
    co_return fail(Error(Errc::permission_denied, "tenant_disabled", "The tenant is disabled."));
  }
  sealed.user_epoch = epochs.user;
  sealed.tenant_epoch = epochs.tenant.epoch;
  IssuedSession issued;
  WrittenToken written = write_sealed_token(parts_.vault, sealed);
  RD_CO_CHECK(co_await claim(written.key, session.absolute_expires_at));
  issued.token = std::move(written.text);
  issued.expires_at = session.absolute_expires_at;
  issued.session = std::make_shared<Session>(std::move(session));
  metrics_.created.add();
  co_return issued;
}

std::optional<Result<VerifiedSession>> SealedSessions::answer_now(std::string_view token,
                                                                  std::string_view tenant) {
  if (token.size() <= kSealedTokenMax) {
    const WallTime now = parts_.clock.wall();
    const Hash128 key = memory_.key_of(token);
    const record::Trust trust = trust_.now();
    SessionMemory::Entry* const entry =
        trust != record::Trust::none ? memory_.find(key, now) : nullptr;
    if (entry != nullptr) {
      if ((tenant.empty() || entry->session->tenant == tenant) && !ended_here(*entry)) {
        metrics_.from_memory.add();
        VerifiedSession verified = memory_.use(key, *entry, now);
        verified.by_grace = trust == record::Trust::grace;
        if (verified.by_grace) metrics_.by_grace.add();
        return verified;
      }
    } else if (open_sealed_token(parts_.vault, token)) {
      return {};
    }
  }
  metrics_.invalid.add();
  return fail(session_invalid());
}

Task<VerifiedSession> SealedSessions::answer(std::string token, std::string tenant) {
  auto known = answer_now(token, tenant);
  if (known) co_return std::move(*known);
  auto sealed = open_sealed_token(parts_.vault, token);
  if (!sealed) co_return fail(session_invalid());
  const BootTime began = parts_.clock.boot();
  const WallTime now = parts_.clock.wall();
  SessionMemory::Entry entry;
  entry.session = std::make_shared<Session>(std::move(sealed->session));
  entry.stamps = read_stamps(parts_.invalidations, Dependencies(*entry.session));
  entry.last_seen = now;
  entry.noted = now;
  entry.note_after = Duration::max();
  const Session& session = *entry.session;
  entry.idle_ttl = session.idle_ttl;
  entry.absolute_expires_at = session.absolute_expires_at;
  RD_CO_TRY(epochs, co_await epochs_of(session));
  metrics_.lookup.observe_ns((parts_.clock.boot() - began).count());
  const bool good = now < session.absolute_expires_at && sealed->user_epoch >= epochs.user &&
                    epochs.tenant.enabled && epochs.tenant.epoch == sealed->tenant_epoch &&
                    (tenant.empty() || session.tenant == tenant) && !ended_here(entry);
  if (!good) {
    metrics_.invalid.add();
    co_return fail(session_invalid());
  }
  metrics_.from_record.add();
  const Hash128 key = memory_.key_of(token);
  VerifiedSession verified = memory_.use(key, entry, now);
  memory_.keep(key, std::move(entry));
  co_return verified;
}

}  // namespace

std::unique_ptr<Sessions> make_sealed_sessions(const SessionParts& parts,
                                               const SessionOptions& options) {
  return std::make_unique<SealedSessions>(parts, options);
}

}  // namespace redoubt::sessions
