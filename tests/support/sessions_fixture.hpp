// Sessions over a real record, with two tenants and as many workers as a test asks for.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "local/invalidation_names.hpp"
#include "record/key_rows.hpp"
#include "record/session_rows.hpp"
#include "record/tenant_rows.hpp"
#include "services/sessions/service.hpp"
#include "tests/support/context.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"
#include "tests/support/timeless_record.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

namespace redoubt::test {

inline RingKey ring_key(std::uint8_t seed) {
  RingKey key;
  key.key.fill(seed);
  key.key[0] = 1;
  key.id = {seed, 0, 0, 1};
  return key;
}

class SessionsFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    Key256 pepper{};
    pepper.fill(0x5a);
    vault_.set_pepper(pepper);
    open();
    note_keys();
    add_tenant("acme");
    add_tenant("globex");
  }

  void TearDown() override { close(); }

  // For listeners that must hear the journal before copies in memory do.
  virtual void subscribe_first() {}

  void open() {
    record_ = std::make_unique<TimelessRecord>(home_.open(clock_, metrics_));
    subscribe_first();
    record_->subscribe([this](const record::JournalEntry& entry) { heard(entry); });
    sessions_ = worker();
  }

  void close() {
    sessions_.reset();
    if (record_) record_->stop();
    record_.reset();
  }

  sessions::SessionParts parts(record::Record& record) {
    return parts(record, metrics_, invalidations_);
  }
  sessions::SessionParts parts(record::Record& record, Metrics& metrics,
                               const local::Invalidations& heard) {
    return {.record = record,
            .vault = vault_,
            .invalidations = heard,
            .clock = clock_,
            .random = random_,
            .log = null_log(),
            .metrics = metrics,
            .ends = ends_,
            .use_flushes = flushes_,
            .refusals = refusals_};
  }
  // That keeps no session in memory.
  static SessionOptions without_memory(SessionOptions options = {}) {
    options.cache_bytes = 0;
    return options;
  }

  std::unique_ptr<Sessions> worker() { return worker(*record_); }
  std::unique_ptr<Sessions> worker(record::Record& record) {
    return sessions::make_sessions(parts(record), options_);
  }
  void reopen_with(SessionOptions options) {
    options_ = options;
    sessions_ = worker();
  }

  void heard(const record::JournalEntry& entry) {
    namespace names = local::invalidation;
    using Kind = record::JournalEntry::Kind;
    if (entry.kind == Kind::session) invalidations_.bump(names::session(entry.tenant, entry.key));
    if (entry.kind == Kind::user) invalidations_.bump(names::user(entry.tenant, entry.key));
    if (entry.kind == Kind::tenant) invalidations_.bump(names::tenant(entry.tenant));
  }

  // One statement or more in a unit of its own.
  void write(std::function<Task<void>(record::Unit&)> work) {
    const auto written = run(record_->write_unit(std::move(work)));
    ASSERT_TRUE(written) << written.error().message << written.error().cause;
  }

  // As the key ring does before a key seals anything.
  void note_keys() {
    write([this](record::Unit& unit) -> Task<void> {
      for (const RingKey& key : vault_.ring()) {
        RD_CO_CHECK(co_await record::note_key(unit, key, clock_.wall()));
      }
      co_return Result<void>{};
    });
  }

  void add_tenant(std::string id) {
    Tenant tenant;
    tenant.id = id;
    tenant.name = id;
    tenant.created_at = clock_.wall();
    write([&tenant](record::Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await record::insert_tenant(unit, tenant));
      co_return Result<void>{};
    });
  }

  void set_tenant(std::string id, bool enabled) {
    const WallTime now = clock_.wall();
    write([id, enabled, now](record::Unit& unit) -> Task<void> {
      if (enabled) {
        RD_CO_CHECK(co_await record::enable_tenant(unit, id));
      } else {
        RD_CO_CHECK(co_await record::disable_tenant(unit, id, now));
      }
      record::JournalEntry entry{record::JournalEntry::Kind::tenant, id, {}, 0};
      unit.announce(entry);
      co_return Result<void>{};
    });
  }

  IssuedSession create(NewSession request) {
    auto issued = run(sessions_->create(acme_, std::move(request)));
    EXPECT_TRUE(issued) << issued.error().message << issued.error().cause;
    return issued ? *issued : IssuedSession{};
  }
  IssuedSession create(std::string user = "alice") {
    NewSession request;
    request.user = std::move(user);
    return create(std::move(request));
  }

  // As the server does: from memory, and else from the record.
  static Result<VerifiedSession> authenticate(Sessions& sessions, const std::string& token) {
    if (auto known = sessions.authenticate_now(token)) return *known;
    return run(sessions.authenticate(token));
  }
  Result<VerifiedSession> authenticate(const std::string& token) {
    return authenticate(*sessions_, token);
  }
  bool valid(const std::string& token) { return valid(*sessions_, token); }
  static bool valid(Sessions& sessions, const std::string& token) {
    const auto verified = authenticate(sessions, token);
    if (!verified) {
      EXPECT_EQ(slug_of(verified.error()), "session_invalid");
    }
    return verified.has_value();
  }

  template <class T>
  static std::string error_of(const Result<T>& result) {
    return result ? "ok" : std::string(slug_of(result.error()));
  }

  std::uint64_t record_lookups() { return sessions::SessionMetrics(metrics_).from_record.value(); }

  RecordHome home_;
  ManualClock clock_;
  SystemRandom random_;  // The vault draws from it on the record's thread too.
  Metrics metrics_;
  Vault vault_{{ring_key(7)}, random_};
  local::Invalidations invalidations_;
  record::UnsavedStops stops_{metrics_};
  sessions::UnsavedEnds ends_{metrics_, stops_};
  sessions::UseFlushes flushes_;
  record::LaterAudit refusals_{clock_, metrics_};
  SessionOptions options_;
  Caller acme_admin_ = admin_of("acme");
  Caller globex_admin_ = admin_of("globex");
  Context acme_ = context_of(acme_admin_);
  Context globex_ = context_of(globex_admin_);
  std::unique_ptr<record::Record> record_;
  std::unique_ptr<Sessions> sessions_;
};

}  // namespace redoubt::test
