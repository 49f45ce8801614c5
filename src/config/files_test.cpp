#include "config/load.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace redoubt::config {
namespace {

namespace fs = std::filesystem;

class SettingsFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "redoubt-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string write(std::string_view text) {
    const auto path = (directory_ / "file").string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  fs::path directory_;
};

TEST_F(SettingsFile, IsReadWhole) {
  const auto text = read_settings_file(write(std::string_view("a\0b\n", 4)));
  ASSERT_TRUE(text);
  EXPECT_EQ(text->value(), std::string("a\0b\n", 4));
}

TEST_F(SettingsFile, MayBeMissing) {
  const auto text = read_settings_file((directory_ / "gone").string());
  ASSERT_TRUE(text);
  EXPECT_FALSE(text->has_value());
}

TEST_F(SettingsFile, IsNeitherADirectoryNorHuge) {
  EXPECT_FALSE(read_settings_file(directory_.string()));
  EXPECT_TRUE(read_settings_file(write(std::string(1u << 20, 'x'))));
  EXPECT_FALSE(read_settings_file(write(std::string((1u << 20) + 1, 'x'))));
}

TEST(ProcessEnvironment, HoldsWhatTheProcessWasGiven) {
  ASSERT_EQ(::setenv("CONFIG_TEST_VARIABLE", "a=b", 1), 0);
  EXPECT_EQ(process_environment().at("CONFIG_TEST_VARIABLE"), "a=b");
}

}  // namespace
}  // namespace redoubt::config
