#include "faces/upstash/scripts.hpp"

#include "redis/script.hpp"

#include <gtest/gtest.h>

namespace redoubt::faces {
namespace {

using Words = std::vector<std::string_view>;

std::string sha_of(std::string_view script) {
  return std::string(redis::Script(std::string(script)).sha());
}

constexpr std::string_view kFlagged = "#!lua flags=allow-key-locking\nreturn 1";
constexpr std::string_view kPlain = "\nreturn 1";

TEST(UpstashScriptsTest, LoseTheFlagThatRedisDoesNotKnow) {
  EXPECT_EQ(UpstashScripts::without_flag(kFlagged), kPlain);
  EXPECT_EQ(UpstashScripts::without_flag("#!lua flags=no-writes, allow-key-locking\nreturn 1"),
            "#!lua flags=no-writes\nreturn 1");
  EXPECT_EQ(UpstashScripts::without_flag("#!lua name=x flags=allow-key-locking,no-writes"),
            "#!lua name=x flags=no-writes");
}

TEST(UpstashScriptsTest, AreLeftAloneWithoutIt) {
  EXPECT_EQ(UpstashScripts::without_flag("return 'allow-key-locking'"), "");
  EXPECT_EQ(UpstashScripts::without_flag("#!lua flags=no-writes\nreturn 'allow-key-locking'"), "");
  EXPECT_EQ(UpstashScripts::without_flag(""), "");
  UpstashScripts scripts;
  const Words words{"EVAL", "return 1", "0"};
  EXPECT_EQ(scripts.translate(words).data(), words.data());
}

TEST(UpstashScriptsTest, AreCalledByTheShaTheClientKnows) {
  UpstashScripts scripts;
  const std::string sha = sha_of(kFlagged);
  const Words by_sha{"evalsha", sha, "1", "k"};
  EXPECT_EQ(scripts.translate(by_sha)[1], sha);  // Not seen yet: Redis says NOSCRIPT.

  const Words whole{"eval", kFlagged, "1", "k"};
  EXPECT_EQ(scripts.translate(whole)[1], kPlain);

  EXPECT_EQ(scripts.translate(by_sha)[1], sha_of(kPlain));
  EXPECT_EQ(scripts.translate(by_sha)[3], "k");
}

TEST(UpstashScriptsTest, AreLoadedUnderTheClientsSha) {
  UpstashScripts scripts;
  const Words load{"SCRIPT", "LOAD", kFlagged};
  EXPECT_EQ(scripts.translate(load)[2], kPlain);
  EXPECT_EQ(UpstashScripts::loaded_sha(load), sha_of(kFlagged));
  EXPECT_EQ(UpstashScripts::loaded_sha(Words{"SCRIPT", "LOAD", "return 1"}), "");
  EXPECT_EQ(UpstashScripts::loaded_sha(Words{"SCRIPT", "EXISTS", kFlagged}), "");
}

TEST(UpstashScriptsTest, AreForgottenWhenThereAreTooMany) {
  UpstashScripts scripts;
  for (int i = 0; i < 3000; ++i) {
    const std::string script = std::string(kFlagged) + std::to_string(i);
    scripts.translate(Words{"EVAL", script, "0"});
  }
  const std::string last = sha_of(std::string(kFlagged) + "2999");
  const std::string first = sha_of(std::string(kFlagged) + "0");
  EXPECT_NE(scripts.translate(Words{"EVALSHA", last, "0"})[1], last);
  EXPECT_EQ(scripts.translate(Words{"EVALSHA", first, "0"})[1], first);
}

}  // namespace
}  // namespace redoubt::faces
