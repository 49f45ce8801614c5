#include "local/limit_engine.hpp"

#include "base/assert.hpp"

#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

namespace redoubt::local {
namespace {

constexpr Nanos kNanosPerUs = 1'000;

// Cells looked at with every insertion: several for each one made, so that sweeping keeps up.
constexpr std::size_t kSweepPerInsert = 8;
constexpr std::size_t kEvictionSample = 64;
constexpr std::size_t kSweepPerLock = 256;
constexpr std::size_t kLogCapacityMin = 4;  // A log this small is always granted.

Duration ceil_ms(Nanos ns) {
  return Duration((ns + kNanosPerMs - 1) / kNanosPerMs);
}

std::uint32_t policy_tag(const LimitRule& rule) {
  return static_cast<std::uint32_t>(rule.identity.lo);
}

using KeyText = boost::container::small_vector<char, 256>;  // On the stack, for usual subjects.

void append(KeyText& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}
void append_u64(KeyText& out, std::uint64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  append(out, {bytes, sizeof bytes});
}

}  // namespace

LimitVerdict verdict_of(const LimitReading& reading, Nanos now) {
  LimitVerdict verdict;
  verdict.allowed = reading.admits;
  verdict.remaining = reading.remaining;
  verdict.reset_after = ceil_ms(reading.full_at - now);
  verdict.retry_after =
      reading.admitted_at == kNever ? Duration::max() : ceil_ms(reading.admitted_at - now);
  return verdict;
}

LimitVerdict charged_verdict_of(const LimitReading& reading, Nanos now) {
  LimitVerdict verdict;
  verdict.remaining = reading.remaining;
  verdict.reset_after = ceil_ms(reading.full_at - now);
  return verdict;
}

// The clocks of one decision, each read when first asked for. Only made while the stripes are
// locked: of two decisions on a key the later one then never sees the earlier time.
class LimitEngine::Now {
 public:
  explicit Now(const Clock& clock) : clock_(clock) {}

  Nanos boot() {
    if (!boot_) boot_ = clock_.boot().ns;
    return *boot_;
  }
  Nanos wall() {
    if (!wall_) wall_ = clock_.wall().ms * kNanosPerMs;
    return *wall_;
  }
  Nanos of(const LimitRule& rule) { return follows_calendar(rule) ? wall() : boot(); }
  Instant both() { return {boot(), wall()}; }

 private:
  const Clock& clock_;
  std::optional<Nanos> boot_;
  std::optional<Nanos> wall_;
};

// The stripes of some keys, locked in the order of their addresses and each once.
class LimitEngine::Locked {
 public:
  Locked(LimitEngine& engine, std::span<const LimitCharge> charges) : engine_(engine) {
    RD_ASSERT(charges.size() <= kChargesMax, "more limits than one check may name");
    for (const LimitCharge& charge : charges) stripes_.push_back(&engine.stripe_of(charge.key));
    if (stripes_.size() > 1) {
      std::sort(stripes_.begin(), stripes_.end());
      stripes_.erase(std::unique(stripes_.begin(), stripes_.end()), stripes_.end());
    }
    for (Stripe* stripe : stripes_) stripe->lock.lock();
  }
  ~Locked() {
    for (Stripe* stripe : stripes_) {
      engine_.count_log_bytes(*stripe);
      stripe->lock.unlock();
    }
  }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  LimitEngine& engine_;
  boost::container::static_vector<Stripe*, kChargesMax> stripes_;
};

LimitEngine::LimitEngine(const Clock& clock, Random& random, LimitEngineOptions options,
                         Metrics& metrics)
    : clock_(clock),
      stripe_entries_max_(
          std::max<std::size_t>((options.entries_max + kStripes - 1) / kStripes, 1)),
      log_bytes_max_(options.log_bytes_max),
      sip_key_{random.next_u64(), random.next_u64()},
      stripes_(std::make_unique<std::array<Stripe, kStripes>>()),
      evictions_(metrics.counter("redoubt_ratelimit_evictions_total",
                                 "Limits forgotten before they were full, to bound memory.")) {
  metrics.gauge_callback("redoubt_ratelimit_keys", "Limits in memory that are not full.", {},
                         [this] { return static_cast<double>(entries()); });
  metrics.gauge_callback("redoubt_ratelimit_log_bytes", "Memory of the logs of sliding_log.", {},
                         [this] { return static_cast<double>(log_bytes()); });
}

Hash128 LimitEngine::key(std::string_view tenant, const LimitRule& rule,
                         std::string_view subject) const {
  // tenant length | tenant | policy, fixed size | subject: no two triples spell the same.
  KeyText text;
  append_u64(text, tenant.size());
  append(text, tenant);
  append_u64(text, rule.identity.hi);
  append_u64(text, rule.identity.lo);
  append(text, subject);
  return siphash128(sip_key_, {text.data(), text.size()});
}

bool LimitEngine::take(std::span<const LimitCharge> charges, std::span<LimitVerdict> out) {
  const Locked locked(*this, charges);
  Now now(clock_);
  for (const LimitCharge& charge : charges) {
    if (!admits_now(charge, now)) return look(charges, out, now);
  }
  for (std::size_t i = 0; i < charges.size(); ++i) {
    out[i] = charged_verdict_of(charge_cell(charges[i], now), now.of(*charges[i].rule));
  }
  return true;
}

bool LimitEngine::peek(std::span<const LimitCharge> charges, std::span<LimitVerdict> out) {
  const Locked locked(*this, charges);
  Now now(clock_);
  return look(charges, out, now);
}

void LimitEngine::refund(std::span<const LimitCharge> charges, std::span<LimitVerdict> out) {
  const Locked locked(*this, charges);
  Now now(clock_);
  for (std::size_t i = 0; i < charges.size(); ++i) {
    out[i] = verdict_of(refund_cell(charges[i], now), now.of(*charges[i].rule));
  }
}

void LimitEngine::reset(const Hash128& key) {
  const LimitCharge charge{.key = key};
  const Locked locked(*this, {&charge, 1});
  LimitTable& table = stripe_of(key).table;
  if (LimitCell* cell = table.find(key)) table.erase(*cell);
}

LimitEngine::Owed LimitEngine::owed(const LimitCharge& charge) {
  if (charge.rule->algorithm != LimitAlgorithm::gcra) return {};
  const Locked locked(*this, {&charge, 1});
  Now now(clock_);
  // As it is: what a share has charged may be more than the whole rule would let stand.
  const LimitCell* cell = stripe_of(charge.key).table.find(charge.key);
  if (cell == nullptr) return {};
  const Nanos left = read_limit(*charge.rule, cell->memory, now.boot(), 1).full_at - now.boot();
  return {(left + kNanosPerUs - 1) / kNanosPerUs, cell->learned};
}

void LimitEngine::learn(const LimitCharge& charge, Int128 debt, bool stored) {
  if (charge.rule->algorithm != LimitAlgorithm::gcra) return;
  const Locked locked(*this, {&charge, 1});
  Now now(clock_);
  Stripe& stripe = stripe_of(charge.key);
  LimitCell* found = stripe.table.find(charge.key);
  const Int128 present = static_cast<Int128>(now.boot()) * charge.rule->limit;
  if (!stored && found != nullptr) {
    if (const auto* own = std::get_if<GcraMemory>(&found->memory)) {
      debt = std::max(debt, own->tat() - present);
    }
  }
  if (debt <= 0) {
    if (found != nullptr) stripe.table.erase(*found);
    return;
  }
  LimitCell& cell = found ? *found : insert(charge, stripe, now);
  GcraMemory memory;
  memory.set_tat(present + debt);
  cell.memory = memory;
  cell.full_at = read_limit(*charge.rule, cell.memory, now.boot(), 1).full_at;
  cell.learned = stored;
}

std::size_t LimitEngine::run_once() {
  std::size_t dropped = 0;
  for (Stripe& stripe : *stripes_) {
    // In pieces, so that no decision waits for the whole of a large table.
    std::size_t left = SIZE_MAX;
    while (left > 0) {
      const std::lock_guard lock(stripe.lock);
      left = std::min(left, stripe.table.slots());
      const Instant now = Now(clock_).both();
      dropped += stripe.table.sweep(now, std::min(left, kSweepPerLock));
      left -= std::min(left, kSweepPerLock);
      if (left == 0) stripe.table.shrink();
      count_log_bytes(stripe);
    }
  }
  return dropped;
}

std::size_t LimitEngine::entries() const {
  std::size_t count = 0;
  for (Stripe& stripe : *stripes_) {
    const std::lock_guard lock(stripe.lock);
    count += stripe.table.size();
  }
  return count;
}

void LimitEngine::count_log_bytes(Stripe& stripe) {
  const std::size_t bytes = stripe.table.log_bytes();
  if (bytes == stripe.counted_log_bytes) return;
  log_bytes_.fetch_add(bytes - stripe.counted_log_bytes, std::memory_order_relaxed);
  stripe.counted_log_bytes = bytes;
}

// The cell of a key, brought up to now; null when the limit is full.
LimitCell* LimitEngine::settled(const LimitCharge& charge, Now& now) {
  const LimitRule& rule = *charge.rule;
  LimitTable& table = stripe_of(charge.key).table;
  LimitCell* cell = table.find(charge.key);
  if (cell == nullptr) return nullptr;
  // Its clock does not go back, and a share may have charged more than the present one lets stand:
  // what is owed is worked off.
  if (rule.algorithm == LimitAlgorithm::gcra) return cell;
  const std::size_t before = log_bytes_of(cell->memory);
  if (settle(rule, cell->memory, now.of(rule))) {
    // The clock went back, and when it is full has moved with it.
    cell->full_at = read_limit(rule, cell->memory, now.of(rule), charge.cost).full_at;
  }
  table.log_resized(before, log_bytes_of(cell->memory));
  return cell;
}

bool LimitEngine::admits_now(const LimitCharge& charge, Now& now) {
  const LimitRule& rule = *charge.rule;
  if (const LimitCell* cell = settled(charge, now)) {
    return admits(rule, cell->memory, now.of(rule), charge.cost);
  }
  return charge.cost <= (rule.algorithm == LimitAlgorithm::gcra ? rule.burst : rule.limit);
}

bool LimitEngine::look(std::span<const LimitCharge> charges, std::span<LimitVerdict> out,
                       Now& now) {
  bool all = true;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    out[i] = verdict_of(read(charges[i], now), now.of(*charges[i].rule));
    all = all && out[i].allowed;
  }
  return all;
}

LimitReading LimitEngine::read(const LimitCharge& charge, Now& now) {
  const LimitRule& rule = *charge.rule;
  if (const LimitCell* cell = settled(charge, now)) {
    return read_limit(rule, cell->memory, now.of(rule), charge.cost);
  }
  LimitMemory memory = fresh_memory(rule);
  settle(rule, memory, now.of(rule));
  return read_limit(rule, memory, now.of(rule), charge.cost);
}

// REQUIRES: admits_now() has just said so.
LimitReading LimitEngine::charge_cell(const LimitCharge& charge, Now& now) {
  const LimitRule& rule = *charge.rule;
  Stripe& stripe = stripe_of(charge.key);
  LimitCell* found = stripe.table.find(charge.key);
  LimitCell& cell = found ? *found : insert(charge, stripe, now);
  const std::size_t before = log_bytes_of(cell.memory);
  if (auto* log = std::get_if<SlidingLogMemory>(&cell.memory); log && log->log) {
    if (log->log->would_grow() && !may_grow(*log->log)) log->log->coarsen();
  }
  redoubt::local::charge(rule, cell.memory, now.of(rule), charge.cost);
  cell.learned = false;
  stripe.table.log_resized(before, log_bytes_of(cell.memory));
  const LimitReading reading = read_limit(rule, cell.memory, now.of(rule), charge.cost);
  cell.full_at = reading.full_at;
  return reading;
}

LimitReading LimitEngine::refund_cell(const LimitCharge& charge, Now& now) {
  const LimitRule& rule = *charge.rule;
  LimitCell* cell = settled(charge, now);
  if (cell == nullptr) return read(charge, now);
  redoubt::local::refund(rule, cell->memory, now.of(rule), charge.cost);
  const LimitReading reading = read_limit(rule, cell->memory, now.of(rule), charge.cost);
  cell->full_at = reading.full_at;
  if (reading.full_at <= now.of(rule)) stripe_of(charge.key).table.erase(*cell);
  return reading;
}

LimitCell& LimitEngine::insert(const LimitCharge& charge, Stripe& stripe, Now& now) {
  const Instant instant = now.both();
  stripe.table.sweep(instant, kSweepPerInsert);
  if (stripe.table.size() >= stripe_entries_max_) {
    LimitCell* cell = stripe.table.evictable(instant, policy_tag(*charge.rule), kEvictionSample);
    if (cell->until_full(instant) > 0) evictions_.add();
    stripe.table.erase(*cell);
  }
  LimitCell& cell = stripe.table.insert(charge.key);
  cell.memory = fresh_memory(*charge.rule);
  cell.policy = policy_tag(*charge.rule);
  cell.on_wall_clock = follows_calendar(*charge.rule);
  cell.learned = false;
  settle(*charge.rule, cell.memory, now.of(*charge.rule));
  return cell;
}

bool LimitEngine::may_grow(const AdmissionLog& log) const {
  return log.capacity() < kLogCapacityMin ||
         log_bytes() + log.capacity() * sizeof(Admission) <= log_bytes_max_;
}

}  // namespace redoubt::local
