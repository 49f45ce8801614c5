#include "local/invalidations.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::local {
namespace {

constexpr int kNames = 64;

std::string name(int i) {
  return "session/4:acme" + std::to_string(i);
}

TEST(Invalidations, ABumpMakesTheCopiesOfItsNameStaleAndNoOthers) {
  const auto counters = std::make_unique<Invalidations>(SipKey{1, 2});
  const std::uint32_t mine = counters->slot("user/4:acme5:alice");
  const std::uint32_t others = counters->slot("user/4:acme3:bob");
  ASSERT_NE(mine, others);
  const auto before = counters->stamp_of(mine);
  const auto others_before = counters->stamp_of(others);
  const auto generation = counters->generation();

  counters->bump("user/4:acme5:alice");

  EXPECT_NE(counters->stamp_of(mine), before);
  EXPECT_EQ(counters->stamp("user/4:acme5:alice"), counters->stamp_of(mine));
  EXPECT_EQ(counters->stamp_of(others), others_before);
  EXPECT_NE(counters->generation(), generation);
}

TEST(Invalidations, WhichNamesShareACounterCannotBeKnownBeforehand) {
  const auto one = std::make_unique<Invalidations>();
  const auto another = std::make_unique<Invalidations>();
  int same = 0;
  for (int i = 0; i < kNames; ++i) {
    EXPECT_EQ(one->slot(name(i)), one->slot(name(i)));
    same += one->slot(name(i)) == another->slot(name(i)) ? 1 : 0;
  }
  EXPECT_LT(same, 8);  // Of 65536 counters: by chance one in a thousand runs shares a single name.
}

}  // namespace
}  // namespace redoubt::local
