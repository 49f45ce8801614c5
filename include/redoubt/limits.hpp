// Rate limits: may this happen now, and if not, when.
//
// A check names one or more limits (policy and subject) and is decided as one: either every limit
// admits it and every limit is charged, or none is. A refusal is a decision, not an error.
//
// One instance is exact: over any interval no more is admitted than the algorithm allows, whatever
// the concurrency. Soft limits live in memory and start full after a restart; class `strict` lives
// in the record, survives, and is refused when the record is away.
//
// Sources: GCRA: ITU-T I.371 annex A, virtual scheduling. Sliding window counter: two fixed windows
// weighted by overlap. Fields of `RateLimit` headers: draft-ietf-httpapi-ratelimit-headers.
//
// Threads: one Limits per worker over one shared engine; call it from that worker's executor.
// Errors: invalid_argument for an unknown policy, a cost below 1, more than 16 limits in one check or
// one limit named twice; unavailable for `strict` while the record is away, and "limits_unavailable" for
// a soft limit that says so while Redis is.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

enum class LimitAlgorithm : std::uint8_t {
  gcra,            // `limit` per `period`, smoothly, with `burst` at once. The default.
  sliding_window,  // Two counters; at most `limit` in any period, give or take the weighting.
  sliding_log,     // Exact; remembers each admission. limit <= 10,000.
  fixed_window,    // `limit` per window of `period`, windows aligned to the epoch.
  calendar_window, // `limit` per calendar minute, hour, day or month in UTC.
};

enum class LimitClass : std::uint8_t {
  soft,    // Memory, and later Redis.
  strict,  // The record: exact, durable, refused when it is away.
};

// What becomes of a soft limit while Redis holds limits and cannot be asked.
enum class WithoutRedis : std::uint8_t {
  share,   // Each instance enforces its share. The default.
  refuse,  // Unavailable "limits_unavailable": for what must never be exceeded, and may be refused.
  open,    // Admitted: for what is only counted.
};

enum class CalendarUnit : std::uint8_t { minute, hour, day, month };

struct LimitPolicy {
  std::string name;                             // [a-z0-9_.-]{1,64}
  LimitAlgorithm algorithm = LimitAlgorithm::gcra;
  LimitClass limit_class = LimitClass::soft;
  std::int64_t limit = 60;                      // 1 .. 1e9 per period.
  Duration period{60'000};                      // 1 ms .. 366 d. Ignored for calendar_window.
  std::int64_t burst = 10;                      // GCRA only: 1 .. 1e9.
  CalendarUnit unit = CalendarUnit::day;        // calendar_window only.
  WithoutRedis without_redis = WithoutRedis::share;  // Soft only.
};

// The most that can be admitted at once, and what `remaining` counts down from.
inline std::int64_t capacity(const LimitPolicy& policy) {
  return policy.algorithm == LimitAlgorithm::gcra ? policy.burst : policy.limit;
}

struct LimitCheck {
  std::string_view policy;   // A configured name.
  std::string_view subject;  // Whom it concerns: "user:123", "ip:203.0.113.7". 1..512 bytes.
  std::int64_t cost = 1;     // 1 .. 1e6.
};

struct LimitState {
  const LimitPolicy* policy = nullptr;  // Until replace_policies() was called twice.
  bool allowed = true;        // Would this limit alone have admitted it?
  std::int64_t remaining = 0; // What could be admitted right now, after this decision.
  Duration reset_after{0};    // Until the limit is full again.
  Duration retry_after{0};    // Until `cost` would be admitted; 0 when allowed. Max: never.
};

struct LimitDecision {
  bool allowed = true;
  std::vector<LimitState> states;  // In the order of the checks.
  // Redis could not be asked: this instance enforced its share of each soft limit.
  bool degraded = false;
};

// A check that was begun before it was known whether it is wanted. May be let go: then what it
// charged, if it did, stays charged.
class BegunCheck {
 public:
  virtual ~BegunCheck() = default;

  // One of the two, once.
  virtual Task<LimitDecision> decision() = 0;
  // It was not wanted: what it has charged is given back, as if it had never been. Until then
  // others see less than there is, so that somebody may be refused, nobody admitted, who would not
  // have been.
  virtual boost::asio::awaitable<void> withdraw() = 0;
};

class Limits {
 public:
  virtual ~Limits() = default;

  // Decides at once, without I/O. Empty when a strict limit is among them; then call check().
  virtual std::optional<Result<LimitDecision>> check_now(const Context& context,
                                                         std::span<const LimitCheck> checks) = 0;
  virtual Task<LimitDecision> check(const Context& context, std::span<const LimitCheck> checks) = 0;

  // Begins what check() would do, so that it takes its time while something else does. Null when it
  // would save nothing or could not be withdrawn exactly; then call check().
  // REQUIRES: context and checks outlive it.
  virtual std::unique_ptr<BegunCheck> begin(const Context&, std::span<const LimitCheck>) {
    return nullptr;
  }

  // What check() would say; charges nothing.
  virtual Task<LimitDecision> peek(const Context& context, std::span<const LimitCheck> checks) = 0;

  // Gives `cost` back to each limit, never beyond full.
  virtual Task<LimitDecision> refund(const Context& context, std::span<const LimitCheck> checks) = 0;

  // Makes the limit of `subject` full again.
  virtual Task<void> reset(const Context& context, std::string policy, std::string subject) = 0;

  virtual const LimitPolicy* find_policy(std::string_view name) const = 0;
  virtual std::span<const LimitPolicy> policies() const = 0;

  // From now on these are the policies. A limit whose numbers changed begins full; what was decided
  // by the ones before stays readable until the second call after this one.
  // Errors: invalid_argument that names the policy and the field; then nothing changed.
  virtual Result<void> replace_policies(std::vector<LimitPolicy> policies) = 0;
};

}  // namespace redoubt
