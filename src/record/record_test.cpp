// What every engine does alike; run once on each (tests/support/record_home.hpp).
#include "record/record.hpp"

#include "base/clock.hpp"
#include "record/standing_queue.hpp"
#include "tests/support/record_fixture.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <optional>
#include <stdexcept>
#include <thread>
#include <tuple>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

constexpr sql::Statement kInsert{"INSERT INTO rd_meta (name, number) VALUES ($1, $2)"};

Task<void> put_then_fail(sql::Transaction& tx, std::string name) {
  RD_CO_CHECK(co_await put(tx, std::move(name), 1));
  co_return fail(Error(Errc::conflict, "changed_my_mind", "no"));
}

Task<void> insert_twice_and_go_on(sql::Transaction& tx) {
  const std::string_view name = "test.twice";
  RD_CO_CHECK(co_await tx.run(kInsert, {name, std::int64_t{1}}));
  std::ignore = co_await tx.run(kInsert, {name, std::int64_t{2}});
  std::ignore = co_await put(tx, "test.after", 3);
  co_return Result<void>{};
}

Task<void> announce_then_fail(Unit& unit, std::string key) {
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::session, .tenant = "t", .key = key});
  co_return fail(Error(Errc::conflict, "changed_my_mind", "no"));
}

Task<void> throw_from(sql::Transaction& tx) {
  RD_CO_CHECK(co_await put(tx, "test.thrown", 1));
  throw std::runtime_error("thrown by a unit");
}

Task<void> end_the_transaction(sql::Transaction& tx) {
  static constexpr sql::Statement rollback{"ROLLBACK"};
  RD_CO_CHECK(co_await tx.run(rollback));
  co_return Result<void>{};
}

class EveryRecord : public RecordTest {
 protected:
  void SetUp() override { open(); }

  void open() {
    record_.reset();
    record_ = home_.open(clock_, metrics_, options_);
  }

  test::RecordHome home_{test::TemporaryDirectory::Where::on_disk};
  test::RecordHome::Options options_;
};

TEST_F(EveryRecord, ReadsWhatItWroteAlsoAfterOpeningAgain) {
  ASSERT_TRUE(put_number("test.a", 7));
  EXPECT_EQ(number_of("test.a"), 7);

  open();

  EXPECT_EQ(number_of("test.a"), 7);
}

TEST_F(EveryRecord, ReturnsWhatAWriteComputed) {
  ASSERT_TRUE(put_number("test.a", 7));

  const auto seen =
      test::run(record_->write<std::int64_t>([](Unit& unit) { return get(unit, "test.a"); }));

  EXPECT_EQ(seen.value(), 7);
}

TEST_F(EveryRecord, UndoesAUnitThatFailsAndReturnsItsError) {
  const auto failed = write([](Unit& unit) { return put_then_fail(unit, "test.undone"); });

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().slug, "changed_my_mind");
  EXPECT_EQ(number_of("test.undone"), -1);
  EXPECT_EQ(record_->status().state, State::normal);
}

TEST_F(EveryRecord, UndoesAUnitThatGoesOnAfterAFailedStatement) {
  const auto failed = write([](Unit& unit) { return insert_twice_and_go_on(unit); });

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().slug, "constraint");
  EXPECT_EQ(number_of("test.twice"), -1);
  EXPECT_EQ(number_of("test.after"), -1);
}

TEST_F(EveryRecord, UndoesAUnitThatThrows) {
  const auto failed = write([](Unit& unit) { return throw_from(unit); });

  EXPECT_EQ(failed.error().code, Errc::internal);
  EXPECT_EQ(number_of("test.thrown"), -1);
  EXPECT_TRUE(put_number("test.next", 1));
}

TEST_F(EveryRecord, RefusesAUnitThatEndsItsTransaction) {
  EXPECT_EQ(write([](Unit& unit) { return end_the_transaction(unit); }).error().code,
            Errc::internal);
  EXPECT_TRUE(put_number("test.next", 1));
}

TEST_F(EveryRecord, UndoesTheFailedUnitsOfABatchAndKeepsTheOthers) {
  constexpr int kUnits = 64;
  asio::io_context io;
  std::vector<Result<void>> results(kUnits);
  std::barrier gate(2);
  const std::int64_t commits_before = record_->status().commits;
  std::function<Task<void>(Unit&)> hold = [&gate](Unit& unit) {
    gate.arrive_and_wait();
    return put(unit, "test.hold", 1);
  };
  asio::co_spawn(io, record_->write_unit(hold), [](std::exception_ptr, const Result<void>&) {});
  for (int i = 0; i < kUnits; ++i) {
    std::function<Task<void>(Unit&)> work = [i](Unit& unit) {
      const std::string name = "test." + std::to_string(i);
      return i % 3 == 0 ? put_then_fail(unit, name) : put(unit, name, i);
    };
    asio::co_spawn(
        io, record_->write_unit(work),
        [&results, i](std::exception_ptr, Result<void> r) { results[std::size_t(i)] = r; });
  }
  io.poll();  // Everything is queued.
  gate.arrive_and_wait();
  io.run();

  for (int i = 0; i < kUnits; ++i) {
    EXPECT_EQ(results[std::size_t(i)].has_value(), i % 3 != 0) << i;
    EXPECT_EQ(number_of("test." + std::to_string(i)), i % 3 == 0 ? -1 : i);
  }
  EXPECT_LE(record_->status().commits - commits_before, 2);
}

TEST_F(EveryRecord, AnswersEachCallerOnItsOwnThread) {
  constexpr int kThreads = 4;
  constexpr int kWrites = 50;
  std::atomic<int> elsewhere = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      asio::io_context io;
      const auto here = std::this_thread::get_id();
      auto writes = [&, t]() -> asio::awaitable<void> {
        for (int i = 0; i < kWrites; ++i) {
          const std::string name = "test." + std::to_string(t) + "." + std::to_string(i);
          std::function<Task<void>(Unit&)> work = [&](Unit& unit) { return put(unit, name, i); };
          const Result<void> done = co_await record_->write_unit(work);
          if (!done || std::this_thread::get_id() != here) ++elsewhere;
        }
      };
      asio::co_spawn(io, writes(), [](std::exception_ptr) {});
      io.run();
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(rows(), kThreads * kWrites);
}

TEST_F(EveryRecord, LetsManyWritersReadTheirOwnWrites) {
  asio::io_context io;
  int wrong = 0;
  auto writer = [&](int id) -> asio::awaitable<void> {
    const std::string name = "test." + std::to_string(id);
    for (std::int64_t i = 0; i < 20; ++i) {
      std::function<Task<void>(Unit&)> work = [&name, i](Unit& unit) { return put(unit, name, i); };
      const Result<void> done = co_await record_->write_unit(work);
      std::function<Task<std::int64_t>(sql::Transaction&)> read = [&name](sql::Transaction& tx) {
        return get(tx, name);
      };
      const Result<std::int64_t> seen = co_await record_->read<std::int64_t>(read);
      if (!done || !seen || *seen != i) ++wrong;
    }
  };
  for (int id = 0; id < 64; ++id) asio::co_spawn(io, writer(id), [](std::exception_ptr) {});
  io.run();

  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(record_->status().writes, 64 * 20);
  EXPECT_LT(record_->status().commits, 64 * 20 / 4);  // They were committed together.
}

TEST_F(EveryRecord, TellsListenersInOrderBeforeTheWriterKnows) {
  std::vector<std::string> heard;
  record_->subscribe([&heard](const JournalEntry& entry) { heard.push_back(entry.key); });

  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(write([i](Unit& unit) { return announce(unit, std::to_string(i)); }));
    EXPECT_EQ(heard.size(), std::size_t(i) + 1);
  }

  EXPECT_EQ(heard, (std::vector<std::string>{"0", "1", "2"}));
}

TEST_F(EveryRecord, TellsListenersNothingOfAUnitThatFailed) {
  int heard = 0;
  record_->subscribe([&heard](const JournalEntry&) { ++heard; });

  EXPECT_FALSE(write([](Unit& unit) { return announce_then_fail(unit, "never"); }));

  EXPECT_EQ(heard, 0);
}

TEST_F(EveryRecord, DropsUnitsThatNobodyWaitsForAnyLonger) {
  asio::io_context io;
  std::barrier entered(2);
  std::barrier gate(2);
  std::function<Task<void>(Unit&)> hold = [&](Unit& unit) {
    entered.arrive_and_wait();
    gate.arrive_and_wait();
    return put(unit, "test.hold", 1);
  };
  asio::co_spawn(io, record_->write_unit(hold), [](std::exception_ptr, const Result<void>&) {});
  io.poll();
  entered.arrive_and_wait();
  const auto submit = [&](std::string name, BootTime deadline, std::optional<Result<void>>& out) {
    Reach reach;
    reach.deadline = deadline;
    std::function<Task<void>(Unit&)> work = [name](Unit& unit) { return put(unit, name, 1); };
    asio::co_spawn(io, record_->write_within(std::move(reach), std::move(work)),
                   [&out](std::exception_ptr, Result<void> r) { out = std::move(r); });
  };
  std::optional<Result<void>> late;
  std::optional<Result<void>> in_time;
  submit("test.late", clock_.boot() + std::chrono::seconds(1), late);
  submit("test.in_time", clock_.boot() + std::chrono::seconds(10), in_time);
  io.poll();
  EXPECT_GT(record_->queue_fill(), 0);
  clock_.advance(std::chrono::seconds(1));
  gate.arrive_and_wait();
  io.run();

  ASSERT_TRUE(late && in_time);
  ASSERT_FALSE(*late);
  EXPECT_EQ(late->error().code, Errc::deadline_exceeded);
  EXPECT_EQ(number_of("test.late"), -1) << "it was not begun";
  EXPECT_TRUE(*in_time);
  EXPECT_EQ(number_of("test.in_time"), 1);
  EXPECT_EQ(record_->queue_fill(), 0);
}

TEST_F(EveryRecord, RefusesMoreUnitsThanItsQueueHolds) {
  options_.queue_units_max = 4;
  open();
  asio::io_context io;
  std::barrier entered(2);
  std::barrier gate(2);
  std::function<Task<void>(Unit&)> hold = [&](Unit& unit) {
    entered.arrive_and_wait();
    gate.arrive_and_wait();
    return put(unit, "test.hold", 1);
  };
  asio::co_spawn(io, record_->write_unit(hold), [](std::exception_ptr, const Result<void>&) {});
  io.poll();
  entered.arrive_and_wait();
  std::vector<Result<void>> results;
  for (int i = 0; i < 6; ++i) {
    std::function<Task<void>(Unit&)> work = [i](Unit& unit) {
      return put(unit, "test." + std::to_string(i), i);
    };
    asio::co_spawn(io, record_->write_unit(work),
                   [&results](std::exception_ptr, Result<void> r) { results.push_back(r); });
  }
  io.poll();
  gate.arrive_and_wait();
  io.run();

  ASSERT_EQ(results.size(), 6u);
  EXPECT_EQ(std::ranges::count_if(results, [](const auto& r) { return r.has_value(); }), 4);
  for (const auto& result : results) {
    if (result) continue;
    EXPECT_EQ(result.error().slug, "record_overloaded");
    EXPECT_GT(result.error().retry_after.count(), 0);
  }
}

TEST_F(EveryRecord, RefusesWhatWaitedForLongInAQueueThatStands) {
  options_.batch_units_max = 1;
  open();
  asio::io_context io;
  std::barrier gate(2);  // Passed when a unit begins, and when it goes on.
  std::vector<std::optional<Result<void>>> results(6);
  const auto submit = [&](std::size_t i) {
    Reach reach;
    reach.deadline = clock_.boot() + std::chrono::hours(1);
    std::function<Task<void>(Unit&)> work = [&gate, i](Unit& unit) {
      gate.arrive_and_wait();
      gate.arrive_and_wait();
      return put(unit, "test." + std::to_string(i), 1);
    };
    asio::co_spawn(io, record_->write_within(std::move(reach), std::move(work)),
                   [&results, i](std::exception_ptr, Result<void> r) { results[i] = std::move(r); });
    io.poll();
  };
  const auto next = [&] {  // A while later the unit goes on, and the next one begins.
    clock_.advance(StandingQueue::kPause - Duration{100});
    gate.arrive_and_wait();
    gate.arrive_and_wait();
  };
  submit(0);
  gate.arrive_and_wait();
  for (const std::size_t i : {1u, 2u, 3u, 4u}) submit(i);
  next();
  next();
  submit(5);
  next();  // Past the two that had waited since the beginning.
  gate.arrive_and_wait();
  io.run();

  for (const std::size_t i : {0u, 1u, 2u, 5u}) EXPECT_TRUE(results[i] && *results[i]) << i;
  for (const std::size_t i : {3u, 4u}) {
    ASSERT_TRUE(results[i] && !*results[i]) << i;
    EXPECT_EQ(results[i]->error().slug, "record_overloaded");
    EXPECT_EQ(number_of("test." + std::to_string(i)), -1) << "it was not begun";
  }
}

TEST_F(EveryRecord, FinishesWhatIsQueuedWhenItStops) {
  asio::io_context io;
  int done = 0;
  for (int i = 0; i < 300; ++i) {
    std::function<Task<void>(Unit&)> work = [i](Unit& unit) {
      return put(unit, "test." + std::to_string(i), i);
    };
    asio::co_spawn(io, record_->write_unit(work),
                   [&done](std::exception_ptr, Result<void> r) { done += r.has_value(); });
  }
  io.poll();
  record_->stop();
  io.run();

  EXPECT_EQ(done, 300);
  EXPECT_EQ(put_number("test.late", 1).error().code, Errc::unavailable);
  open();
  EXPECT_EQ(rows(), 300);
}

TEST_F(EveryRecord, ReportsItsSchemaAndWhatItCommitted) {
  ASSERT_TRUE(put_number("test.a", 1));

  const Status status = record_->status();

  EXPECT_EQ(status.state, State::normal);
  EXPECT_EQ(status.engine, test::RecordHome::is_postgres() ? "postgresql" : "sqlite");
  EXPECT_GE(status.schema, 1);
  EXPECT_EQ(status.commits, 1);
  EXPECT_EQ(status.writes, 1);
  EXPECT_NE(metrics_.prometheus_text().find("redoubt_record_up 1"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::record
