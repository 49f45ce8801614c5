#include "record/later_audit.hpp"

#include "base/clock.hpp"
#include "record/audit.hpp"
#include "record/sqlite_record.hpp"
#include "tests/support/refusing_record.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

namespace redoubt::record {
namespace {

class LaterAuditTest : public testing::Test {
 protected:
  LaterAuditTest() {
    record_ = std::move(*open_sqlite_record({.path = ":memory:"}, clock_, null_log(), metrics_));
  }
  ~LaterAuditTest() override { record_->stop(); }

  static AuditEvent event_of(std::string principal) {
    AuditEvent event;
    event.tenant = "acme";
    event.principal = std::move(principal);
    event.action = "keyring.rotate";
    return event;
  }
  std::size_t written() {
    std::function<Task<AuditPage>(sql::Transaction&)> read = [](sql::Transaction& tx) {
      return list_audit(tx, {.tenant = "acme", .limit = 1000});
    };
    return test::run(record_->read(read))->entries.size();
  }

  ManualClock clock_;
  Metrics metrics_;
  std::unique_ptr<Record> record_;
  LaterAudit audit_{clock_, metrics_};
};

TEST_F(LaterAuditTest, BoundsTheRefusalsOfEachPrincipal) {
  for (int i = 0; i < 1000; ++i) audit_.note_denial(event_of("key:a"));
  audit_.note_denial(event_of("key:b"));
  ASSERT_TRUE(test::run(audit_.flush(*record_)));
  EXPECT_EQ(written(), LaterAudit::kDenialsAMinute + 1u);

  clock_.advance(std::chrono::minutes(1));
  audit_.note_denial(event_of("key:a"));
  ASSERT_TRUE(test::run(audit_.flush(*record_)));
  EXPECT_EQ(written(), LaterAudit::kDenialsAMinute + 2u);
}

TEST_F(LaterAuditTest, KeepsABoundedNumberWhileTheRecordIsAway) {
  test::RefusingRecord refusing(*record_);
  refusing.refuse(true);
  for (std::size_t i = 0; i < LaterAudit::kWaitingMax; ++i) audit_.note(event_of("key:a"));
  EXPECT_FALSE(test::run(audit_.flush(refusing)));
  audit_.note(event_of("key:late"));

  refusing.refuse(false);
  ASSERT_TRUE(test::run(audit_.flush(refusing)));
  const auto head = [this] { return test::run(verify_audit(*record_))->rows; };
  EXPECT_EQ(head(), static_cast<std::int64_t>(LaterAudit::kWaitingMax));
}

}  // namespace
}  // namespace redoubt::record
