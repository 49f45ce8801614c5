#include "net/task_group.hpp"

#include "tests/support/event_log.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace redoubt::net {
namespace {

// Runs a task of this interval `rounds` times; round i ends with `outcome(i)`.
std::ptrdiff_t complaints(Duration interval, int rounds, std::function<Result<void>(int)> outcome) {
  boost::asio::io_context io;
  test::EventLog log;
  TaskGroup group(io.get_executor(), log);
  int round = 0;
  group.repeat("job", interval, [&]() -> Task<void> {
    if (round + 1 == rounds) group.cancel();
    co_return outcome(round++);
  });
  io.run();
  EXPECT_EQ(round, rounds);
  return log.count("background.failed");
}

Result<void> failure(std::string cause) {
  return fail(internal(std::move(cause)));
}

TEST(TaskGroup, ComplainsOnceAboutWhatFailsInEveryRound) {
  EXPECT_EQ(complaints(Duration(1), 50, [](int) { return failure("disk"); }), 1);
}

TEST(TaskGroup, ComplainsAnewAboutAnotherFailureAndAfterASuccess) {
  EXPECT_EQ(complaints(Duration(1), 50, [](int i) { return failure(i < 25 ? "disk" : "net"); }), 2);
  EXPECT_EQ(
      complaints(Duration(1), 50, [](int i) { return i == 25 ? Result<void>{} : failure("disk"); }),
      2);
}

}  // namespace
}  // namespace redoubt::net
