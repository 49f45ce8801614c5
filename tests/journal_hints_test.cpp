// Several instances on one PostgreSQL and one Redis: what hints change, and what they do not. Where
// the journal is looked at once an hour, whoever knows of a change sooner has it by a hint.
#include "shared/journal_hints.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "net/task_group.hpp"
#include "record/postgres_record.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace redoubt {
namespace {

using record::JournalEntry;
using test::PostgresServer;
using test::RedisLoop;
using test::RedisServer;

constexpr Duration kHour = std::chrono::hours(1);

Task<void> announce(record::Unit& unit, std::string key) {
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::session, .tenant = "t", .key = key});
  co_return Result<void>{};
}

class Instance {
 public:
  Instance(RedisLoop& loop, const std::string& url, const redis::Options& redis, std::string name,
           Duration poll_interval)
      : loop_(loop), state_(loop.clock, metrics_), client_(loop.client(redis)) {
    record::PostgresRecordOptions options;
    options.url = Secret(url);
    options.poll_interval = poll_interval;
    auto opened = open_postgres_record(options, clock_, null_log(), metrics_);
    EXPECT_TRUE(opened) << opened.error().message << opened.error().cause;
    record_ = std::move(*opened);
    record_->subscribe([this](const JournalEntry& entry) {
      const std::lock_guard lock(mutex_);
      heard_.insert(entry.key);
    });
    state_.learned(1, loop.clock.boot() + kHour);
    state_.canary_answered(true, {});
    shared::JournalHintsParts parts{.client = *client_,
                                    .state = state_,
                                    .clock = loop.clock,
                                    .timers = *loop.timers,
                                    .log = null_log(),
                                    .metrics = metrics_,
                                    .hurry = [this] {
                                      ++hurried;
                                      record_->hurry();
                                    }};
    hints_ = std::make_unique<shared::JournalHints>(std::move(parts), "rec_ours", std::move(name));
    record_->when_announced([this] { hints_->announced(); });
    tasks_.spawn("hints", hints_->run());
  }
  ~Instance() {
    record_->stop();
    hints_->stop();
    tasks_.cancel();
    loop_.until([this] { return tasks_.idle(); });
    client_->stop();
  }

  Result<void> announce(std::string key) {
    return test::run(record_->write_unit(
        [key = std::move(key)](record::Unit& unit) { return redoubt::announce(unit, key); }));
  }
  bool hears(const std::string& key) {
    return loop_.until([&] {
      const std::lock_guard lock(mutex_);
      return heard_.contains(key);
    });
  }
  bool listens() {
    return loop_.until([this] { return hurried > 0; });
  }
  std::uint64_t polls(std::string_view cause) {
    return metrics_
        .counter("redoubt_record_journal_polls_total",
                 "Looks at the journal, by why: it was time, or a hint of another instance.",
                 {{"cause", cause}})
        .value();
  }
  record::Record& record() { return *record_; }

  int hurried = 0;

 private:
  RedisLoop& loop_;
  SystemClock clock_;
  Metrics metrics_;
  std::mutex mutex_;
  std::set<std::string> heard_;
  shared::SharedState state_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::JournalHints> hints_;
  std::unique_ptr<record::Record> record_;
  net::TaskGroup tasks_{loop_.io.get_executor(), null_log()};
};

class HintedJournal : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = PostgresServer::shared().new_database();
  }

  RedisLoop loop_;
  RedisServer redis_;
  redis::Options options_ = test::standalone(redis_.port());
  std::string url_;
};

TEST_F(HintedJournal, IsReadAtOnceByTheOthers) {
  Instance a(loop_, url_, options_, "a", kHour);
  Instance b(loop_, url_, options_, "b", kHour);
  Instance c(loop_, url_, options_, "c", kHour);
  ASSERT_TRUE(a.listens() && b.listens() && c.listens());

  for (int i = 0; i < 20; ++i) {
    const std::string key = "session" + std::to_string(i);
    ASSERT_TRUE((i % 2 == 0 ? a : b).announce(key));
    ASSERT_TRUE(a.hears(key) && b.hears(key) && c.hears(key)) << i;
  }

  EXPECT_EQ(c.polls("time"), 0U);
}

TEST_F(HintedJournal, IsReadInTimeWithoutHints) {
  Instance a(loop_, url_, options_, "a", Duration(200));
  Instance b(loop_, url_, options_, "b", Duration(200));
  ASSERT_TRUE(a.listens() && b.listens());
  ASSERT_TRUE(loop_.until([&] { return b.polls("hint") == 1; })) << "when it began to listen";
  redis_.kill();
  const std::uint64_t hurried = b.polls("hint");

  ASSERT_TRUE(a.announce("session"));

  EXPECT_TRUE(b.hears("session"));
  EXPECT_EQ(b.polls("hint"), hurried) << "nobody can have told it";
}

TEST_F(HintedJournal, IsNotMoreTrueForAForgedHint) {
  Instance a(loop_, url_, options_, "a", kHour);
  ASSERT_TRUE(a.listens());
  const int before = a.hurried;

  redis_.cli("publish rd:1:journal:rec_ours session");

  ASSERT_TRUE(loop_.until([&] { return a.hurried > before && a.polls("hint") > 1; }));
  ASSERT_TRUE(a.announce("real"));
  EXPECT_TRUE(a.hears("real"));
}

TEST_F(HintedJournal, IsPolledSeldomHoweverManyHurry) {
  Instance a(loop_, url_, options_, "a", kHour);
  ASSERT_TRUE(a.listens());
  ASSERT_TRUE(loop_.until([&] { return a.polls("hint") > 0; }));
  const std::uint64_t before = a.polls("hint");
  const BootTime begun = loop_.clock.boot();

  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 1'000; ++k) a.record().hurry();
    loop_.pass(Duration(1));
  }

  const std::uint64_t polls = a.polls("hint") - before;
  const auto passed = std::chrono::duration_cast<Duration>(loop_.clock.boot() - begun);
  EXPECT_GT(polls, 1U);
  EXPECT_LE(polls, static_cast<std::uint64_t>(passed / Duration(20)) + 2);
}

}  // namespace
}  // namespace redoubt
