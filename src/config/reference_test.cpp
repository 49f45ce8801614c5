#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace redoubt::config {
namespace {

constexpr const char* kPath = SOURCE_DIRECTORY "/docs/configuration.md";

TEST(ConfigurationReference, IsWhatTheCodeSays) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(kPath, std::ios::binary) << configuration_reference();
  }
  std::ostringstream text;
  text << std::ifstream(kPath, std::ios::binary).rdbuf();
  EXPECT_EQ(text.str(), configuration_reference())
      << "make docs/configuration.md anew: UPDATE_GOLDEN=1 config_tests";
}

// The transcript in the reference's introduction.
TEST(ConfigurationReference, ShowsProblemsAsTheyArePrinted) {
  ConfigSources sources;
  sources.environment = {{"SESSION_TTL", "soon"}, {"REDOUBT_LISTNE", "4000"}};
  sources.read_file = [](const std::string&) { return Result<std::optional<std::string>>(); };
  const auto loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(configuration_reference(), ::testing::HasSubstr(loaded.error().message));
}

}  // namespace
}  // namespace redoubt::config
