// Sessions: who is logged in, in this tenant, acting through which agent, and until when.
//
// A session is created at login, verified on every request (which slides its idle expiry), updated,
// rotated when privileges change, and revoked. Its token is shown once; the record keeps a keyed
// hash of the secret in it and the data sealed. A token is authenticated before any look-up, so
// garbage never reaches the record. A revoked session is refused by every later request of this
// instance from the moment the revoke is acknowledged.
//
// While this instance is cut off from the record, sessions are verified by copies for a stated grace
// (VerifiedSession::by_grace), and then not at all; everything that writes is refused.
//
// Idle expiry is never early, and late by at most min(60 s, idle_ttl / 4): use is recorded lazily.
//
// Threads: one Sessions per worker; call it from that worker's executor.
// Errors: every function may return unavailable; the rest are listed per function. Expired, revoked,
// forged and unknown tokens are one answer: unauthenticated "session_invalid".
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

// What SESSION_STORAGE selects. `redis` and `hybrid` are names of `database` with copies in Redis.
enum class SessionStorage : std::uint8_t { database, redis, hybrid, token };

struct SessionOptions {
  SessionStorage storage = SessionStorage::hybrid;
  Duration idle_ttl{3'600'000};        // 1 s .. 365 d. A use extends the session by this much...
  Duration absolute_ttl{86'400'000};   // ...but never past this age. 1 s .. 365 d.
  std::int64_t per_user_max = 0;       // 0: no cap. At the cap the least recently used one ends.
  std::size_t cache_bytes = 64u << 20; // L1 of one worker; 0: it keeps none.
};

struct Session {
  std::string id;       // "ses_" and 22 base62 digits. Not a credential.
  std::string tenant;
  std::string user;     // 1..256 bytes.
  std::string agent;    // 0..256 bytes: the agent this session acts through.
  std::string device;   // 0..256 bytes: what the client calls itself.
  std::string address;  // Where it was created from.
  std::string data;     // A JSON object, as text, at most 64 KiB.
  std::int64_t version = 1;  // Grows by one with every update; the ETag.
  Duration idle_ttl{0};
  WallTime created_at;
  WallTime last_seen_at;         // As recorded; up to the idle slack behind.
  WallTime absolute_expires_at;
  bool readable = true;  // False, in a list only: its data does not open, and is {} here.
};
using SessionPtr = std::shared_ptr<const Session>;

struct VerifiedSession {
  SessionPtr session;
  WallTime expires_at;  // The earlier of idle and absolute expiry, counted from this use.
  // A copy answered because the record is away: what was revoked on another instance since then
  // may not be known here.
  bool by_grace = false;
};

struct NewSession {
  std::string user;
  std::string agent;
  std::string device;
  std::string address;
  std::string data = "{}";
  std::optional<Duration> idle_ttl;
  std::optional<Duration> absolute_ttl;
};

struct IssuedSession {
  SessionPtr session;
  std::string token;  // Secret. The only copy.
  WallTime expires_at;
};

struct SessionPage {
  std::vector<SessionPtr> sessions;
  std::string next_cursor;  // Empty: no more.
};

class Sessions {
 public:
  virtual ~Sessions() = default;

  // invalid_argument for a user, agent or data out of range. One commit.
  virtual Task<IssuedSession> create(const Context& context, NewSession request) = 0;

  // The session of `token`, from this worker's memory: no I/O, no allocation. Empty when the answer
  // needs the record; then call authenticate(). Slides the idle expiry.
  virtual std::optional<Result<VerifiedSession>> authenticate_now(std::string_view token) = 0;
  virtual Task<VerifiedSession> authenticate(std::string token) = 0;

  // The same, for a caller that holds an API key: a session of another tenant is session_invalid.
  virtual std::optional<Result<VerifiedSession>> verify_now(const Context& context,
                                                            std::string_view token) = 0;
  virtual Task<VerifiedSession> verify(const Context& context, std::string token) = 0;

  // By id, for administration. not_found. At most one read.
  virtual Task<VerifiedSession> get(const Context& context, std::string id) = 0;

  // Merges `patch` into the data (RFC 7396: null removes a member). With `if_version`, only if that
  // is still the version: else precondition_failed "version_mismatch". One commit.
  virtual Task<SessionPtr> update(const Context& context, std::string id, std::string patch,
                                  std::optional<std::int64_t> if_version) = 0;

  // Sets a new idle lifetime, counted from now; the absolute expiry stays. One commit.
  virtual Task<VerifiedSession> extend(const Context& context, std::string id, Duration idle_ttl) = 0;

  // A new session with the same content and lifetime, and the end of the old one, in one commit.
  virtual Task<IssuedSession> rotate(const Context& context, std::string id) = 0;

  // Ends one session. not_found when there is none. One commit. When that cannot be written the
  // answer is unavailable, and the session has ended nevertheless: in this process at once, and in
  // the record when it can be written again and the process is still there. So for revoke_all().
  virtual Task<void> revoke(const Context& context, std::string id) = 0;

  // The live sessions of `user`, newest first, `limit` of 1..1000 a page. One read.
  virtual Task<SessionPage> list(const Context& context, std::string user, std::size_t limit,
                                 std::string cursor) = 0;

  // Ends all sessions of `user` but `except` (may be empty); returns how many. Sessions created
  // after the acknowledgement are not touched. One commit. When that cannot be written, it is about
  // those whose created_at, by the clock of the instance that made them, is no later than now here.
  virtual Task<std::int64_t> revoke_all(const Context& context, std::string user,
                                        std::string except) = 0;

  // Deletes expired and revoked rows, at most `batch`; returns how many. For the cleanup job.
  virtual Task<std::int64_t> sweep(std::size_t batch) = 0;

  // Writes the uses seen since the last call to the record, and ends that it could not take. For a job every few seconds, and stop.
  virtual Task<void> flush_uses() = 0;
};

}  // namespace redoubt
