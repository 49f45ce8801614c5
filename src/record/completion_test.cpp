#include "record/completion.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

// What a coroutine's handler looks like: it knows where it lives.
struct Caller {
  using executor_type = asio::any_io_executor;
  asio::any_io_executor home;
  std::vector<int>* went_on;
  int number;
  bool throws = false;

  executor_type get_executor() const noexcept { return home; }
  void operator()(Result<void> result) {
    if (throws) throw std::runtime_error("a bug");
    went_on->push_back(result ? number : -number);
  }
};

class CompletionTest : public testing::Test {
 protected:
  void add(asio::io_context& home, int number, bool throws = false) {
    Caller caller{home.get_executor(), &went_on_, number, throws};
    Result<void> result;
    if (number % 2 == 0) result = fail(internal("even"));
    completed_.push_back({Completion(std::move(caller)), std::move(result)});
  }

  asio::io_context here_;
  asio::io_context there_;
  std::vector<int> went_on_;
  std::vector<Completed> completed_;
};

TEST_F(CompletionTest, EachCallerGoesOnWhereItLivesAndInOrder) {
  for (const int number : {1, 2, 3}) {
    add(here_, number);
    add(there_, 10 + number);
  }
  complete(std::move(completed_));

  EXPECT_TRUE(went_on_.empty());
  here_.run();
  EXPECT_EQ(went_on_, (std::vector{1, -2, 3}));
  there_.run();
  EXPECT_EQ(went_on_, (std::vector{1, -2, 3, 11, -12, 13}));
}

TEST_F(CompletionTest, ThoseWhoLiveTogetherAreWokenOnce) {
  for (int number = 1; number <= 64; ++number) add(here_, number);
  complete(std::move(completed_));

  EXPECT_EQ(here_.run_one(), 1u);
  EXPECT_EQ(went_on_.size(), 64u);
}

TEST_F(CompletionTest, VeryManyLeaveOthersTheirTurn) {
  for (int number = 1; number <= 200; ++number) add(here_, number);
  complete(std::move(completed_));
  asio::post(here_, [this] { went_on_.push_back(0); });

  here_.run_one();
  EXPECT_LT(went_on_.size(), 100u);
  here_.run();
  EXPECT_EQ(went_on_.size(), 201u);
}

TEST_F(CompletionTest, WhoWaitsKeepsItsHomeRunning) {
  add(here_, 1);
  EXPECT_EQ(here_.poll(), 0u);
  EXPECT_FALSE(here_.stopped());
  complete(std::move(completed_));
  here_.run();
  EXPECT_EQ(went_on_, std::vector{1});
}

TEST_F(CompletionTest, AnExceptionOfOneIsNotTheOthers) {
  add(here_, 1);
  add(here_, 3, true);
  add(here_, 5);
  complete(std::move(completed_));

  EXPECT_THROW(here_.run(), std::runtime_error);
  here_.run();
  EXPECT_EQ(went_on_, (std::vector{1, 5}));
}

}  // namespace
}  // namespace redoubt::record
