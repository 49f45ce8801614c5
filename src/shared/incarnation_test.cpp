#include "shared/incarnation.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::shared {
namespace {

constexpr std::string_view kOurs = "rec_ours";

Incarnation known() {
  Incarnation incarnation;
  incarnation.generation = 4;
  incarnation.era = 9;
  incarnation.server = "run1/repl1";
  incarnation.nonce = "abcd";
  incarnation.retired = {"run0/repl0"};
  incarnation.confirmations = 7;
  return incarnation;
}
std::string mark_of(std::int64_t generation, std::string nonce = "abcd") {
  return encode_mark({std::string(kOurs), generation, std::move(nonce)});
}

TEST(Incarnation, IsReadAsItWasWritten) {
  const auto read = decode_incarnation(encode_incarnation(known()));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, known());
  EXPECT_EQ(decode_incarnation("")->generation, 0);
  for (const std::string_view text :
       {"[]", "{}", "{", R"({"generation":-1,"retired":[]})", R"({"retired":[1]})"}) {
    EXPECT_FALSE(decode_incarnation(text)) << text;
  }
}

TEST(Incarnation, MarksAreReadAsTheyWereWritten) {
  const Mark mark{"rec_x", 12, "00ff"};
  EXPECT_EQ(decode_mark(encode_mark(mark)), mark);
  for (const std::string_view text :
       {"", "redoubt1", "redoubt1 ", "redoubt1 a 1", "redoubt1 a 1 ", "redoubt1 a x b",
        "redoubt1 a -1 b", "redoubt1 a 1 b c", "redoubt2 a 1 b", "redoubt1  1 b"}) {
    EXPECT_FALSE(decode_mark(text)) << text;
  }
}

TEST(Incarnation, IsTheSameWhenServerAndMarkAgree) {
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl1", mark_of(4)}), Verdict::same);
}

TEST(Incarnation, AServerWithoutItsMarkIsUnmarked) {
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl1", {}}), Verdict::unmarked);
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl1", mark_of(3)}), Verdict::unmarked);
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl1", mark_of(4, "ef")}), Verdict::unmarked);
}

TEST(Incarnation, AnotherProcessOrReplicaIsAnotherServerWhateverItsMark) {
  EXPECT_EQ(judge(known(), kOurs, {"run2/repl1", mark_of(4)}), Verdict::another);
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl2", mark_of(4)}), Verdict::another);
  EXPECT_EQ(judge(known(), kOurs, {"run2/repl2", {}}), Verdict::another);
  EXPECT_EQ(judge({}, kOurs, {"run1/repl1", {}}), Verdict::another);
}

TEST(Incarnation, ARetiredServerStaysRetired) {
  EXPECT_EQ(judge(known(), kOurs, {"run0/repl0", mark_of(4)}), Verdict::retired);
  EXPECT_EQ(judge(known(), kOurs, {"run0/repl0", {}}), Verdict::retired);
}

TEST(Incarnation, AnothersMarkIsNeverOursToReplace) {
  const std::string theirs = encode_mark({"rec_theirs", 1, "aa"});
  EXPECT_EQ(judge(known(), kOurs, {"run1/repl1", theirs}), Verdict::another_record);
  EXPECT_EQ(judge({}, kOurs, {"run1/repl1", "what is this"}), Verdict::another_record);
  const Error error = another_record(kOurs, theirs);
  EXPECT_EQ(error.slug, "redis_of_another_record");
  EXPECT_NE(error.message.find("rec_theirs"), std::string::npos);
  EXPECT_NE(error.message.find(kOurs), std::string::npos);
  EXPECT_NE(error.message.find("REDIS_DATABASE"), std::string::npos);
}

TEST(Incarnation, MovesOnToAHigherGenerationAndRetiresTheServerThatIsLeft) {
  const Incarnation next = next_incarnation(known(), {"run2/repl2", mark_of(4)}, "ff");
  EXPECT_EQ(next.generation, 5);
  EXPECT_EQ(next.server, "run2/repl2");
  EXPECT_EQ(next.nonce, "ff");
  EXPECT_EQ(next.retired, (std::vector<std::string>{"run0/repl0", "run1/repl1"}));
  EXPECT_EQ(next.era, 9);
}

TEST(Incarnation, OneThatIsTakenAgainIsRetiredNoMore) {
  const Incarnation next = next_incarnation(known(), {"run0/repl0", mark_of(2)}, "ff");
  EXPECT_EQ(next.generation, 5);
  EXPECT_EQ(next.server, "run0/repl0");
  EXPECT_EQ(next.retired, std::vector<std::string>{"run1/repl1"});
}

TEST(Incarnation, ALostMarkRetiresNobody) {
  EXPECT_EQ(next_incarnation(known(), {"run1/repl1", {}}, "ff").retired, known().retired);
}

TEST(Incarnation, OfARecordFromABackupPassesWhatItsRedisHasSeen) {
  EXPECT_EQ(next_incarnation(known(), {"run1/repl1", mark_of(40)}, "ff").generation, 41);
}

TEST(Incarnation, RemembersABoundedNumberOfRetiredServers) {
  Incarnation incarnation = known();
  for (int i = 0; i < 200; ++i) {
    const std::string server = "run" + std::to_string(i) + "/next";
    incarnation = next_incarnation(incarnation, {server, {}}, "n");
  }
  EXPECT_EQ(incarnation.retired.size(), kRetiredMax);
  EXPECT_EQ(incarnation.retired.back(), "run198/next");
}

}  // namespace
}  // namespace redoubt::shared
