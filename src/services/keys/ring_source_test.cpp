#include "services/keys/ring_source.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/stat.h>

namespace redoubt::keys {
namespace {

constexpr std::string_view kA = "8f1d0c6b5a4e39278160f2e3d4c5b6a7988a7b6c5d4e3f201122b3c4d5e6f708";

class RingSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    path = directory + "/keyring";
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  Result<std::unique_ptr<RingSource>> open(std::optional<std::string> setting, bool production) {
    RingSettings settings;
    settings.read = [setting]() -> Result<std::optional<Secret>> {
      if (!setting) return std::nullopt;
      return Secret(*setting);
    };
    settings.production = production;
    settings.data_dir = directory;
    return open_ring_source(std::move(settings), random);
  }
  void write(std::string_view text, mode_t mode) {
    std::filesystem::remove_all(path);
    std::ofstream(path) << text;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  std::string content() const {
    std::stringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }

  SeededRandom random{3};
  std::string directory;
  std::string path;
};

TEST_F(RingSourceTest, ProductionModeRefusesToStartWithoutAKeyAndSaysWhatToSet) {
  const auto source = open(std::nullopt, true);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().slug, "encryption_key_missing");
  EXPECT_NE(source.error().message.find("openssl rand -hex 32"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(RingSourceTest, RefusesABadKeyInEitherModeWithItsReason) {
  for (const bool production : {true, false}) {
    const auto source = open("change-this-to-a-random-32-byte-key", production);
    ASSERT_FALSE(source);
    EXPECT_NE(source.error().message.find("placeholder"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(path));
  }
}

TEST_F(RingSourceTest, DevelopmentModeMakesTheFileOnceForItsOwnerAlone) {
  const auto first = open(std::nullopt, false);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = open(std::nullopt, false);
  ASSERT_TRUE(second);

  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
  EXPECT_EQ((*first)->load().value()[0].id, (*second)->load().value()[0].id);
  EXPECT_EQ((*first)->kind(), KeyRingSource::file);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1)
      << "nothing beside it";
}

TEST_F(RingSourceTest, PrefersTheSettingAndThenMakesNoFile) {
  const auto source = open(std::string(kA), false);
  ASSERT_TRUE(source);
  EXPECT_EQ((*source)->kind(), KeyRingSource::setting);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(RingSourceTest, RefusesAFileThatOthersMayRead) {
  for (const mode_t mode : {0640U, 0604U, 0644U, 0660U, 0700U, 04600U}) {
    write(kA, mode);
    const auto source = open(std::nullopt, false);
    ASSERT_FALSE(source) << mode;
    EXPECT_EQ(source.error().slug, "key_ring_file");
    EXPECT_NE(source.error().message.find("wider than 0600"), std::string::npos);
  }
  write(kA, 0400);
  EXPECT_TRUE(open(std::nullopt, false));
}

TEST_F(RingSourceTest, RefusesAFileWithoutAUsableRingAndNeverReplacesIt) {
  for (const std::string& text :
       {std::string(), std::string("nonsense"), std::string(64, '0'), std::string(5000, 'a')}) {
    write(text, 0600);
    const auto source = open(std::nullopt, false);
    ASSERT_FALSE(source);
    EXPECT_EQ(source.error().slug, "key_ring_file");
    EXPECT_NE(source.error().message.find(path), std::string::npos);
    EXPECT_EQ(content(), text);
  }
}

TEST_F(RingSourceTest, RefusesWhatIsNoRegularFile) {
  std::filesystem::create_directory(path);
  ::chmod(path.c_str(), 0600);
  EXPECT_EQ(open(std::nullopt, false).error().slug, "key_ring_file");
  std::filesystem::remove(path);
  std::ofstream(directory + "/elsewhere") << kA;
  std::filesystem::create_symlink(directory + "/elsewhere", path);
  EXPECT_EQ(open(std::nullopt, false).error().slug, "key_ring_file");
}

TEST_F(RingSourceTest, PutsANewPrimaryFirstAndDropsTheRetired) {
  auto source = open(std::nullopt, false).value();
  const KeyId first = source->load().value()[0].id;
  const auto two = source->make_primary({}).value();
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[1].id, first);
  EXPECT_NE(two[0].id, first);

  const std::vector<KeyId> retire{first};
  const auto three = source->make_primary(retire).value();

  ASSERT_EQ(three.size(), 2U);
  EXPECT_EQ(three[1].id, two[0].id);
  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
}

TEST_F(RingSourceTest, RefusesASeventeenthKeyAndKeepsTheRing) {
  auto source = open(std::nullopt, false).value();
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(source->make_primary({}));
  const std::string before = content();

  EXPECT_FALSE(source->make_primary({}));

  EXPECT_EQ(content(), before);
}

TEST_F(RingSourceTest, GivesAnUnlabelledKeyANameWhenItGetsCompany) {
  write(kA, 0600);
  auto source = open(std::nullopt, false).value();
  const auto ring = source->make_primary({}).value();
  ASSERT_EQ(ring.size(), 2U);
  EXPECT_EQ(ring[0].label, "k1");
  EXPECT_EQ(ring[1].label, "k0");
}

}  // namespace
}  // namespace redoubt::keys
