#include "config/toml_file.hpp"

#include <gtest/gtest.h>

namespace redoubt::config {
namespace {

TEST(TomlFile, FlattensSectionsAndKeepsLines) {
  const auto file = parse_toml(
      "mode = \"production\"\n"
      "[sessions]\n"
      "ttl = \"2h\"\n"
      "per_user_max = 5\n"
      "[http]\n"
      "cors_origins = [\"https://a.b\", \"https://c.d\"]\n"
      "[limits]\n"
      "enabled = false\n");
  ASSERT_TRUE(file.problems.empty()) << file.problems.front().text;

  EXPECT_EQ(file.values.at("mode").text, "production");
  EXPECT_EQ(file.values.at("sessions.ttl").text, "2h");
  EXPECT_EQ(file.values.at("sessions.ttl").line, 3);
  EXPECT_EQ(file.values.at("sessions.per_user_max").text, "5");
  EXPECT_EQ(file.values.at("http.cors_origins").text, "https://a.b,https://c.d");
  EXPECT_TRUE(file.values.at("http.cors_origins").list);
  EXPECT_EQ(file.values.at("limits.enabled").text, "false");
}

TEST(TomlFile, WritesALimitsTableAsItsLine) {
  const auto file = parse_toml(
      "[limits.chat]\nlimit = 60\nperiod = \"1m\"\nburst = 5\nclass = \"strict\"\n"
      "[limits.\"v1.tools\"]\nlimit = 9\nperiod = \"day\"\nalgorithm = \"calendar_window\"\n");
  ASSERT_TRUE(file.problems.empty()) << file.problems.front().text;

  EXPECT_EQ(file.values.at("limits.chat").text, "60/1m burst 5 strict");
  EXPECT_EQ(file.values.at("limits.v1.tools").text, "9/day calendar_window");
}

TEST(TomlFile, NamesLineAndColumnOfASyntaxError) {
  const auto file = parse_toml("mode = \"production\"\n[sessions\nttl = 1");
  ASSERT_EQ(file.problems.size(), 1u);
  EXPECT_EQ(file.problems.front().line, 2);
  EXPECT_TRUE(file.problems.front().text.starts_with("column ")) << file.problems.front().text;
}

TEST(TomlFile, RefusesShapesThatNoSettingHas) {
  for (const auto* text :
       {"[a.b]\nc = 1", "[[http]]\nlisten = \"80\"", "a = 2020-01-01", "a = [[1]]", "a = [\"x,y\"]",
        "a = inf", "[limits.x]\nlimit = 1", "[limits.x]\nlimit = 1\nperiod = \"\"",
        "[limits.x]\nlimit = 1\nperiod = \"1s strict\"",
        "[limits.x]\nlimit = 1\nperiod = \"1s\"\nrate = 3",
        "\"http.listen\" = \"80\"\n[http]\nlisten = \"81\"", "a = 1\na = 2"}) {
    EXPECT_FALSE(parse_toml(text).problems.empty()) << text;
  }
}

}  // namespace
}  // namespace redoubt::config
