// Sessions with a row in the record, the truth, and copies in the worker's memory and in the shared
// tier, if there is one. SESSION_STORAGE database, redis and hybrid.
//
// record_sessions.cpp changes and lists them; record_sessions_verify.cpp answers for tokens.
//
// Threads: one worker's.
#pragma once

#include "record/answer_keeper.hpp"
#include "record/copy_trust.hpp"
#include "record/reach_keys.hpp"
#include "services/sessions/copies.hpp"
#include "services/sessions/flights.hpp"
#include "services/sessions/memory.hpp"
#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
#include "services/sessions/units.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace redoubt::sessions {

using OptionalRow = std::optional<record::SessionRow>;

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
    record::Trust trust = record::Trust::none;
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
  bool must_write(const SessionMemory::Entry& entry, WallTime now, record::Trust trust) const {
    return trust != record::Trust::grace && needs_write_through(entry) &&
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
    return record::with_answer_of(context, record::with_deadline_of(context, reach_of(target)));
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

}  // namespace redoubt::sessions
