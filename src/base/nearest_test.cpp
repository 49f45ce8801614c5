#include "base/text.hpp"

#include <gtest/gtest.h>

namespace redoubt {
namespace {

const std::vector<std::string_view> kNames{"host",      "port",         "log_level", "log_format",
                                           "cache_ttl", "cache_memory", "data_dir"};

TEST(Nearest, FindsTheNameBehindATypo) {
  EXPECT_EQ(nearest("prot", kNames), "port");  // Two letters swapped.
  EXPECT_EQ(nearest("hots", kNames), "host");
  EXPECT_EQ(nearest("log_levl", kNames), "log_level");
  EXPECT_EQ(nearest("log_levell", kNames), "log_level");
  EXPECT_EQ(nearest("LOG_LEVEL", kNames), "log_level");
  EXPECT_EQ(nearest("chache_memroy", kNames), "cache_memory");
  EXPECT_EQ(nearest("data-dir", kNames), "data_dir");
}

TEST(Nearest, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest("zebra", kNames), "");
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
  EXPECT_EQ(nearest("port", {}), "");
  EXPECT_EQ(nearest(std::string(5000, 'p'), kNames), "");
}

TEST(Nearest, PrefersTheExactName) {
  EXPECT_EQ(nearest("port", {"part", "port", "sort"}), "port");
}

}  // namespace
}  // namespace redoubt
