#include "operations/admission.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRoom = 100;

class AdmissionTest : public testing::Test {
 protected:
  std::string ask(Priority priority, const std::string& tenant = "acme") {
    auto place = admission_.admit(priority, tenant);
    if (!place) return place.error().slug;
    return "admitted";
  }
  void fill(std::size_t count, const std::string& tenant) {
    for (std::size_t i = 0; i < count; ++i) {
      auto place = admission_.admit(Priority::revocation, tenant);
      ASSERT_TRUE(place);
      held_.push_back(std::move(*place));
    }
  }
  // Those that are begun still, in the order they are given up.
  std::vector<Priority> begun() {
    std::vector<Priority> kinds;
    for (std::size_t i = 0; i < kPriorityNames.size(); ++i) {
      const auto kind = static_cast<Priority>(i);
      if (ask(kind) == "admitted") kinds.push_back(kind);
    }
    return kinds;
  }

  Metrics metrics_;
  double queue_ = 0;
  Admission admission_{
      {.operations_max = kRoom, .tenant_max = 75}, [this] { return queue_; }, metrics_};
  std::vector<Admission::Place> held_;
};

TEST_F(AdmissionTest, GivesUpFirstWhatDoesTheLeastHarm) {
  EXPECT_EQ(begun().size(), kPriorityNames.size());
  std::size_t given_up = 0;
  for (const double fill : {0.5, 0.6, 0.65, 0.7, 0.8, 0.9, 0.95}) {
    queue_ = fill;
    ++given_up;
    const std::vector<Priority> left = begun();
    ASSERT_EQ(left.size(), kPriorityNames.size() - given_up) << fill;
    EXPECT_EQ(left.front(), static_cast<Priority>(given_up));
  }
  queue_ = 1;
  EXPECT_EQ(begun(), std::vector{Priority::revocation}) << "the record's own queue refuses it, if";
}

TEST_F(AdmissionTest, CountsWhatIsUnderWayHere) {
  fill(50, "globex");
  EXPECT_EQ(ask(Priority::listing), "overloaded");
  EXPECT_EQ(ask(Priority::fill), "admitted");

  held_.clear();
  EXPECT_EQ(admission_.under_way(), 0U);
  EXPECT_EQ(ask(Priority::listing), "admitted");
}

TEST_F(AdmissionTest, HasAnEndForRevocationsToo) {
  fill(kRoom, "globex");
  EXPECT_EQ(ask(Priority::revocation), "overloaded");
}

TEST_F(AdmissionTest, ALoopThatRunsLateIsOverloaded) {
  admission_.ran_late(250ms);
  EXPECT_EQ(ask(Priority::listing), "overloaded");
  EXPECT_EQ(ask(Priority::ordinary), "admitted");
  admission_.ran_late(500ms);
  EXPECT_EQ(ask(Priority::session), "overloaded");
  EXPECT_EQ(ask(Priority::revocation), "admitted");
  admission_.ran_late(0ms);
  EXPECT_EQ(ask(Priority::listing), "admitted");
}

TEST_F(AdmissionTest, OneTenantCannotTakeAll) {
  fill(75, "globex");

  EXPECT_EQ(ask(Priority::lease, "globex"), "tenant_overloaded");
  EXPECT_EQ(ask(Priority::revocation, "globex"), "admitted");
  EXPECT_EQ(ask(Priority::lease, "acme"), "admitted");
  EXPECT_EQ(ask(Priority::ordinary, "acme"), "admitted") << "there is room for others";
}

TEST_F(AdmissionTest, SaysWhenToComeBackAndCountsWhatItRefused) {
  queue_ = 0.5;
  const auto refused = admission_.admit(Priority::listing, "acme");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_GT(refused.error().retry_after, 0ms);
  EXPECT_NE(
      metrics_.prometheus_text().find("redoubt_operations_shed_total{priority=\"listing\"} 1"),
      std::string::npos);
}

}  // namespace
}  // namespace redoubt::operations
