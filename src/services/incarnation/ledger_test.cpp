#include "services/incarnation/ledger.hpp"

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::incarnation {
namespace {

using test::run;

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { record_->stop(); }

  void open() {
    record_ = home_.open(clock_, metrics_);
    ledger_ = make_ledger(*record_, clock_, random_);
  }
  void reopen() {
    record_->stop();
    record_.reset();
    open();
  }
  shared::Page read() {
    auto page = run(ledger_->read());
    EXPECT_TRUE(page) << page.error().message << page.error().cause;
    return page ? *page : shared::Page{};
  }
  bool replace(std::int64_t revision, shared::Incarnation next) {
    const auto replaced = run(ledger_->replace(revision, std::move(next)));
    EXPECT_TRUE(replaced) << replaced.error().message << replaced.error().cause;
    return replaced && *replaced;
  }

  ManualClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  test::RecordHome home_;
  std::unique_ptr<record::Record> record_;
  std::unique_ptr<shared::Ledger> ledger_;
};

TEST_F(LedgerTest, TheRecordHasOneIdentityForLife) {
  const auto identity = run(ledger_->identity());
  ASSERT_TRUE(identity) << identity.error().message << identity.error().cause;
  EXPECT_TRUE(identity->starts_with("rec_"));
  EXPECT_EQ(*run(ledger_->identity()), *identity);
  reopen();
  EXPECT_EQ(*run(ledger_->identity()), *identity);
}

TEST_F(LedgerTest, IsEmptyAtFirstAndKeepsWhatIsWritten) {
  EXPECT_EQ(read().revision, 0);
  shared::Incarnation next;
  next.generation = 3;
  next.era = 8;
  next.server = "run/replica";
  next.nonce = "n";
  next.retired = {"old/one"};
  ASSERT_TRUE(replace(0, next));
  reopen();
  EXPECT_EQ(read().revision, 1);
  EXPECT_EQ(read().incarnation, next);
}

TEST_F(LedgerTest, OfTwoWhoReplaceTheSameRevisionOneWins) {
  shared::Incarnation one;
  one.era = 1;
  shared::Incarnation two;
  two.era = 2;
  EXPECT_TRUE(replace(0, one));
  EXPECT_FALSE(replace(0, two));
  EXPECT_TRUE(replace(1, two));
  EXPECT_FALSE(replace(1, one));
  EXPECT_EQ(read().incarnation.era, 2);
}

}  // namespace
}  // namespace redoubt::incarnation
