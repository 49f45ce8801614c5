#include "services/keys/service.hpp"

#include "record/key_rows.hpp"
#include "services/keys/needs.hpp"
#include "services/keys/pepper.hpp"
#include "services/keys/resealing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace redoubt::keys {
namespace {

// How long after a rotation rows sealed under the old key may still arrive: units that were sealed
// before it and committed after it. Far above a request's deadline.
constexpr std::chrono::seconds kStragglers{60};

bool same_ring(const std::vector<RingKey>& a, const std::vector<RingKey>& b) {
  return std::ranges::equal(
      a, b, [](const RingKey& x, const RingKey& y) { return x.id == y.id && x.label == y.label; });
}

// In one commit: the ring's keys are known, keys that left are forgotten, and the change is
// audited.
Task<void> write_notes(record::Unit& unit, const std::vector<RingKey>& ring,
                       const std::optional<record::AuditEvent>& event, WallTime now) {
  RD_CO_TRY(noted, co_await record::noted_keys(unit));
  for (const record::NotedKey& key : noted) {
    if (contains(ring, key.kid)) continue;
    RD_CO_CHECK(co_await record::forget_key(unit, key.kid));
  }
  for (const RingKey& key : ring) {
    RD_CO_CHECK(co_await record::note_key(unit, key, now));
  }
  if (!event) co_return Result<void>{};
  record::JournalEntry entry;
  entry.kind = record::JournalEntry::Kind::key_ring;
  entry.key = event->target;
  unit.announce(std::move(entry));
  co_return co_await unit.audit(*event);
}

class KeyRingService final : public KeyRing {
 public:
  explicit KeyRingService(const KeyRingParts& parts)
      : parts_(parts),
        needs_(parts.record, parts.clock, parts.sealed_tokens),
        pepper_(parts.record, parts.vault),
        resealing_(needs_, parts.vault, parts.clock, parts.log, parts.metrics) {
    needs_.add(pepper_);
  }

  void add(record::Resealable& rows) override { needs_.add(rows); }
  Task<void> start() override;
  Task<void> reload() override;
  Task<bool> run_once(std::size_t batch) override { return resealing_.run_once(batch); }
  Task<KeyRingStatus> status(const Context& context) override;
  Task<KeyRingStatus> rotate(const Context& context) override;

 private:
  Task<std::vector<KeyId>> retirable();
  Task<void> check(const std::vector<RingKey>& ring);
  Task<void> note(const std::vector<RingKey>& ring, std::optional<record::AuditEvent> event);
  Task<void> adopt(std::vector<RingKey> ring, record::AuditEvent event);
  Task<std::vector<RingKey>> next_ring();
  Task<KeyRingStatus> rotate_once(const Context& context);
  Task<KeyRingStatus> report();
  bool settled();
  Result<void> keeps_primary(const std::vector<RingKey>& ring);
  Result<void> keeps_stragglers_keys(const std::vector<RingKey>& ring);

  // One rotation or reload at a time, without holding a lock while it waits for the record.
  class Turn {
   public:
    explicit Turn(KeyRingService& owner) : owner_(owner) {
      const std::lock_guard lock(owner_.mutex_);
      mine_ = !std::exchange(owner_.changing_, true);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (!mine_) return;
      const std::lock_guard lock(owner_.mutex_);
      owner_.changing_ = false;
    }
    bool mine() const { return mine_; }

   private:
    KeyRingService& owner_;
    bool mine_ = false;
  };

  KeyRingParts parts_;
  KeyNeeds needs_;  // Its nouns are complete before start().
  Pepper pepper_;
  Resealing resealing_;

  std::mutex mutex_;  // Of all below.
  bool changing_ = false;
  std::optional<BootTime> rotated_at_;  // In this process.
};

// Every key that ever sealed something is noted; those that left the ring must not be needed.
Task<void> KeyRingService::check(const std::vector<RingKey>& ring) {
  RD_CO_TRY(missing, co_await needs_.outside(ring));
  if (!missing.empty()) co_return fail(key_needed(missing, parts_.source.place()));
  co_return Result<void>{};
}

// REQUIRES: check(ring).
Task<void> KeyRingService::note(const std::vector<RingKey>& ring,
                                std::optional<record::AuditEvent> event) {
  const WallTime now = parts_.clock.wall();
  std::function<Task<void>(record::Unit&)> work = [&ring, &event, now](record::Unit& unit) {
    return write_notes(unit, ring, event, now);
  };
  co_return co_await parts_.record.write_unit(std::move(work));
}

Task<void> KeyRingService::start() {
  const std::vector<RingKey> ring = parts_.vault.ring();
  RD_CO_CHECK(co_await check(ring));
  RD_CO_CHECK(co_await note(ring, std::nullopt));
  RD_CO_CHECK(co_await pepper_.open(parts_.random));
  RD_CO_TRY(others, co_await resealing_.other_rows());
  if (others.remaining > 0) resealing_.begin();
  co_return Result<void>{};
}

// Nothing that was sealed under a former primary can still be on its way into the record.
bool KeyRingService::settled() {
  const std::lock_guard lock(mutex_);
  return !rotated_at_ || parts_.clock.boot() - *rotated_at_ >= kStragglers;
}

// Keys a file ring can drop: not the primary, needed by nothing, and no straggler can still need
// them.
Task<std::vector<KeyId>> KeyRingService::retirable() {
  std::vector<KeyId> out;
  if (!settled()) co_return out;
  const KeyId primary = parts_.vault.primary();
  const std::vector<RingKey> ring = parts_.vault.ring();
  RD_CO_TRY(needs, co_await needs_.of(ring));
  for (std::size_t i = 0; i < ring.size(); ++i) {
    if (ring[i].id != primary && !needs[i].any()) out.push_back(ring[i].id);
  }
  co_return out;
}

Result<void> KeyRingService::keeps_primary(const std::vector<RingKey>& ring) {
  const std::string kid = format_key_id(parts_.vault.primary());
  if (contains(ring, kid)) return {};
  return fail(Error(Errc::conflict, "key_needed",
                    fmt::format("the primary in use, key {}, has left the key ring ({}): keep it "
                                "after the new one until no row needs it",
                                kid, parts_.source.place())));
}

// Requests that are running have perhaps sealed rows that no count sees yet.
Result<void> KeyRingService::keeps_stragglers_keys(const std::vector<RingKey>& ring) {
  if (settled()) return {};
  for (const RingKey& key : parts_.vault.ring()) {
    const std::string kid = format_key_id(key.id);
    if (contains(ring, kid)) continue;
    return fail(Error(Errc::conflict, "key_needed",
                      fmt::format("key {} has left the key ring ({}) within {} seconds of a "
                                  "rotation, when rows under it may still be on their way: put it "
                                  "back, and remove it later",
                                  kid, parts_.source.place(), kStragglers.count())));
  }
  return {};
}

Task<void> KeyRingService::adopt(std::vector<RingKey> ring, record::AuditEvent event) {
  const KeyId former = parts_.vault.primary();
  RD_CO_CHECK(keeps_primary(ring));
  RD_CO_CHECK(co_await check(ring));
  RD_CO_CHECK(keeps_stragglers_keys(ring));
  // Noted before it seals anything: a crash in between leaves a note without rows.
  event.target = format_key_id(ring.front().id);
  RD_CO_CHECK(co_await note(ring, event));
  const bool new_primary = ring.front().id != former;
  parts_.log.info("keyring.loaded", {{"primary", event.target}, {"keys", ring.size()}});
  parts_.vault.reload(std::move(ring));
  if (new_primary) {
    const std::lock_guard lock(mutex_);
    rotated_at_ = parts_.clock.boot();
  }
  // A key that has come back may open what did not.
  if (new_primary || resealing_.has_unreadable()) resealing_.begin();
  co_return Result<void>{};
}

// What the source holds when that is new (also after a rotation whose commit failed); else a ring
// with a key made now.
Task<std::vector<RingKey>> KeyRingService::next_ring() {
  RD_CO_TRY(ring, parts_.source.load());
  if (ring.front().id != parts_.vault.primary()) co_return ring;
  RD_CO_TRY(retire, co_await retirable());
  co_return parts_.source.make_primary(retire);
}

Task<KeyRingStatus> KeyRingService::rotate_once(const Context& context) {
  RD_CO_TRY(others, co_await resealing_.other_rows());
  const bool running = resealing_.progress().running && others.remaining + others.unreadable > 0;
  if (running || others.remaining > 0) {
    co_return fail(Error(Errc::conflict, "rotation_running",
                         fmt::format("{} rows of the last rotation are still to be sealed again; "
                                     "see the status of the key ring",
                                     others.remaining)));
  }
  RD_CO_TRY(ring, co_await next_ring());
  record::AuditEvent event;
  event.tenant = context.caller.tenant;
  event.principal = context.caller.principal;
  event.action = "keyring.rotated";
  event.request_id = context.request_id;
  event.address = context.client_address;
  RD_CO_CHECK(co_await adopt(std::move(ring), std::move(event)));
  co_return co_await report();
}

Task<KeyRingStatus> KeyRingService::rotate(const Context& context) {
  const Turn turn(*this);
  if (!turn.mine()) {
    co_return fail(
        Error(Errc::conflict, "rotation_running", "the key ring is being changed by another call"));
  }
  co_return co_await rotate_once(context);
}

Task<void> KeyRingService::reload() {
  const Turn turn(*this);
  if (!turn.mine()) {
    co_return fail(
        Error(Errc::conflict, "rotation_running", "the key ring is being changed by another call"));
  }
  RD_CO_TRY(ring, parts_.source.load());
  if (same_ring(ring, parts_.vault.ring())) co_return Result<void>{};
  record::AuditEvent event;
  event.tenant = kHomeTenant;
  event.principal = "system:reload";
  event.action = "keyring.reloaded";
  co_return co_await adopt(std::move(ring), std::move(event));
}

Task<KeyRingStatus> KeyRingService::report() {
  KeyRingStatus status;
  status.source = parts_.source.kind();
  const std::vector<RingKey> ring = parts_.vault.ring();
  RD_CO_TRY(needs, co_await needs_.of(ring));
  for (std::size_t i = 0; i < ring.size(); ++i) {
    EncryptionKey shown;
    shown.id = needs[i].kid;
    shown.label = ring[i].label;
    shown.primary = i == 0;
    shown.rows = needs[i].rows;
    shown.sealed_until = needs[i].tokens_until;
    status.keys.push_back(std::move(shown));
  }
  RD_CO_TRY(rows, co_await resealing_.other_rows());
  status.remaining = rows.remaining;
  status.unreadable = rows.unreadable;
  Resealing::Progress progress = resealing_.progress();
  status.resealing = progress.running;
  status.resealed = progress.resealed;
  status.trouble = std::move(progress.trouble);
  co_return status;
}

Task<KeyRingStatus> KeyRingService::status(const Context& /*context*/) {
  return report();
}

}  // namespace

std::unique_ptr<KeyRing> make_key_ring(const KeyRingParts& parts) {
  return std::make_unique<KeyRingService>(parts);
}

}  // namespace redoubt::keys
