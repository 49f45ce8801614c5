#include "services/cache/told_message.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::cache {
namespace {

constexpr std::size_t kMax = 200;

TEST(ToldMessage, IsReadAsItWasWritten) {
  const ToldInvalidations told{"acme", {"tred", "g*\"\\?\xc3\xa9", "pusers:42:", "ka"}, true};

  const auto read = read_told(write_told(told, kMax), kMax);

  ASSERT_TRUE(read);
  EXPECT_EQ(read->tenant, told.tenant);
  EXPECT_EQ(read->names, told.names);
  EXPECT_TRUE(read->again);
}

TEST(ToldMessage, OfMoreNamesThanFitSaysEverything) {
  ToldInvalidations told{"acme", {}, false};
  for (int i = 0; i < 100; ++i) told.names.push_back("k" + std::to_string(i));

  const std::string text = write_told(told, kMax);

  EXPECT_LE(text.size(), kMax);
  EXPECT_EQ(read_told(text, kMax)->names, std::vector<std::string>{""});
}

TEST(ToldMessage, ThatIsNoneIsIgnored) {
  const std::string good = R"({"tenant":"acme","names":["ka"],"again":false})";
  ASSERT_TRUE(read_told(good, kMax));
  const std::string long_name = "k" + std::string(3'000, 'a');
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), good.substr(1), good + "x",
        std::string(R"({"tenant":"","names":["ka"],"again":false})"),
        std::string(R"({"tenant":7,"names":["ka"],"again":false})"),
        std::string(R"({"tenant":"acme","names":"ka","again":false})"),
        std::string(R"({"tenant":"acme","names":[7],"again":false})"),
        std::string(R"({"tenant":"acme","names":["xa"],"again":false})"),
        std::string(R"({"tenant":"acme","names":["ka"]})"),
        std::string("{\"tenant\":\"acme\",\"names\":[\"k\xff\"],\"again\":false}")}) {
    EXPECT_FALSE(read_told(text, kMax)) << text;
  }
  const std::string too_long =
      R"({"tenant":"acme","names":[")" + long_name + R"("],"again":false})";
  EXPECT_FALSE(read_told(too_long, kMax));
  EXPECT_FALSE(read_told(too_long, 10'000)) << "no invalidation has such a name";
}

}  // namespace
}  // namespace redoubt::cache
