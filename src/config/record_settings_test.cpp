#include "config/setting.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace redoubt::config {
namespace {

const Setting& url_setting(const std::vector<Setting>& settings) {
  return *std::ranges::find(settings, std::string_view("record.database_url"),
                            [](const Setting& setting) { return setting.name.key; });
}

TEST(RecordSettings, TakeTheUrlOfPostgresUnderBothNamesAndAsASecret) {
  const auto settings = record_settings();
  const Setting& url = url_setting(settings);
  Config config;

  ASSERT_TRUE(url.set(config, "postgresql://u:hunter2@db:5432/d"));

  EXPECT_EQ(config.record.database_url.reveal(), "postgresql://u:hunter2@db:5432/d");
  EXPECT_EQ(url.show(config), "set");
  EXPECT_TRUE(url.secret);
  EXPECT_EQ(url.name.environment,
            (std::vector<std::string_view>{"REDOUBT_DATABASE_URL", "DATABASE_URL"}));
}

TEST(RecordSettings, RefuseTheUrlOfAnotherDatabaseWithoutQuotingIt) {
  const auto settings = record_settings();
  Config config;

  const auto refused = url_setting(settings).set(config, "mysql://u:hunter2@db/d");

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::config
