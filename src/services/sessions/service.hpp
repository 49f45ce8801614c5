// How Sessions is made, and what its two forms share.
#pragma once

#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/vault.hpp"
#include "local/invalidations.hpp"
#include "record/copy_trust.hpp"
#include "record/later_audit.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"
#include "services/sessions/unsaved_ends.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/sessions.hpp>
#include <redoubt/timers.hpp>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace redoubt::sessions {

class SessionCopies;

// Whether uses reach the record, as all workers of a process see it.
//
// Threads: any.
class UseFlushes {
 public:
  void failed(BootTime now) { failed_at_ = now.ns; }

  // No use that was seen before `since` waits any more: flushes come more often than that.
  bool all_good_since(BootTime since) const { return failed_at_ < since.ns; }

 private:
  std::atomic<std::int64_t> failed_at_{std::numeric_limits<std::int64_t>::min()};
};

struct SessionParts {
  record::Record& record;
  Vault& vault;                               // REQUIRES: has its pepper.
  const local::Invalidations& invalidations;  // Bumped by a listener of the record's journal.
  Clock& clock;
  Random& random;
  Log& log;
  Metrics& metrics;
  UnsavedEnds& ends;  // These three: one for all workers.
  UseFlushes& use_flushes;
  record::LaterAudit& refusals;
  SessionCopies* copies = nullptr;  // In the shared tier; the worker's own. Null: there is none.
  const record::AuthGrace* grace = nullptr;  // Null: copies answer while they are fresh, only.
  Timers* timers = nullptr;  // The worker's. Null: nobody waits for another's read of a session.
};

// Whether sessions stored so have copies in the shared tier, where there is one.
constexpr bool keeps_copies(SessionStorage storage) {
  return storage == SessionStorage::redis || storage == SessionStorage::hybrid;
}

// How often flush_uses() is called at least. Sessions so short-lived that the idle slack does not
// cover this record their uses before the answer.
inline constexpr Duration kFlushPeriodMax{5'000};

// One for each worker, over everything shared. The form is what options.storage says.
std::unique_ptr<Sessions> make_sessions(const SessionParts& parts, const SessionOptions& options);

std::unique_ptr<Sessions> make_record_sessions(const SessionParts& parts,
                                               const SessionOptions& options);
std::unique_ptr<Sessions> make_sealed_sessions(const SessionParts& parts,
                                               const SessionOptions& options);

// The rows of sessions, for the rotation of the key ring. Any number.
std::unique_ptr<record::Resealable> make_session_resealer(record::Record& record, Vault& vault);

struct SessionMetrics {
  explicit SessionMetrics(Metrics& metrics);

  Counter& created;
  Counter& revoked;
  Counter& expired;
  Counter& from_memory;
  Counter& from_copy;
  Counter& from_record;
  Counter& by_grace;  // From memory or a copy, while the record was away.
  Counter& invalid;
  Histogram& lookup;
};

// Says so, if it is so.
inline void note_grace(const Context& context, const Result<VerifiedSession>& verified) {
  if (verified && verified->by_grace) context.note(Downgrade::sessions_grace);
}

// The one answer to expired, revoked, forged and unknown tokens.
Error session_invalid();

record::AuditEvent audit_event(const Context& context, std::string action, std::string target);

Task<std::int64_t> sweep_all(const SessionParts& parts, SessionMetrics& metrics, std::size_t batch);

// Holds `end` in this process because the record failed with `error`; what its author is told.
Error end_here(const SessionParts& parts, UnsavedEnd end, Error error);

// Writes what is held so. Errors: those of the record.
Task<void> save_ends(const SessionParts& parts, SessionMetrics& metrics);

// Ends the sessions of `user`, those without a row too; how many had one.
Task<std::int64_t> end_all(const SessionParts& parts, SessionMetrics& metrics,
                           const Context& context, std::string user, std::optional<Id128> except);

}  // namespace redoubt::sessions
