#include "shared/keys.hpp"

#include "base/random.hpp"
#include "wire/redis_slot.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

namespace redoubt::shared {
namespace {

TEST(Keys, LookAsTheirTableSays) {
  const KeySpace keys(7);

  EXPECT_EQ(keys.key("acme", Noun::session, "ses_1"), "rd:7:{acme}:session:ses_1");
  constexpr std::array<std::string_view, 2> kParts{"per:minute", "user:a b"};
  EXPECT_EQ(keys.key("acme", Noun::ratelimit, kParts),
            "rd:7:{acme}:ratelimit:per%3Aminute:user%3Aa%20b");
  EXPECT_EQ(keys.key("acme", Noun::user, std::span<const std::string_view>{}), "rd:7:{acme}:user");
}

TEST(Keys, OfChannelsAreNoKeysOfTenants) {
  const std::string channel = KeySpace(7).channel(Topic::journal, "a:{b}*");

  EXPECT_EQ(channel, "rd:7:journal:a%3A%7Bb%7D%2A");
  EXPECT_FALSE(parse_key(channel));
  EXPECT_NE(channel, KeySpace(8).channel(Topic::journal, "a:{b}*"));
}

// What is written into a name never reaches beyond its segment.
TEST(Keys, OfHostileNamesStayInTheirSegment) {
  const KeySpace keys(0);
  const std::string name("a}:session:{b\0*\r\n%41\xff", 21);

  const std::string key = keys.key(name, Noun::cache, name);

  EXPECT_EQ(key.find_first_of("*\r\n"), std::string::npos);
  const auto parsed = parse_key(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->tenant, name);
  EXPECT_EQ(parsed->noun, Noun::cache);
  EXPECT_EQ(parsed->segments, std::vector<std::string>{name});
}

TEST(Keys, OfOneTenantAreInOneSlot) {
  const KeySpace keys(3);
  const auto slot = wire::slot_of(keys.key("ac{m}e", Noun::session, "1"));

  EXPECT_EQ(wire::slot_of(keys.key("ac{m}e", Noun::ratelimit, "}x{")), slot);
  EXPECT_NE(wire::slot_of(keys.key("other", Noun::session, "1")), slot);
}

std::string random_text(Random& random, std::string_view alphabet, std::size_t max) {
  std::string text(random.below(max + 1), 'x');
  for (char& c : text) c = alphabet[random.below(alphabet.size())];
  return text;
}

TEST(Keys, OfDifferentPartsDiffer) {
  SeededRandom random(1);
  std::map<std::string, std::vector<std::string>> made;
  for (int i = 0; i < 20'000; ++i) {
    const KeySpace keys(static_cast<std::int64_t>(random.below(2)));
    const auto noun = static_cast<Noun>(random.below(9));
    std::vector<std::string> parts{std::to_string(keys.generation()), std::string(noun_name(noun)),
                                   "t" + random_text(random, "a:{}%4", 2)};
    std::vector<std::string_view> segments;
    for (std::size_t n = random.below(4); n > 0; --n)
      parts.push_back(random_text(random, "a:{}%2", 3));
    for (std::size_t n = 3; n < parts.size(); ++n) segments.push_back(parts[n]);

    const std::string key = keys.key(parts[2], noun, segments);

    const auto [at, fresh] = made.emplace(key, parts);
    ASSERT_TRUE(fresh || at->second == parts) << key;
    const auto parsed = parse_key(key);
    ASSERT_TRUE(parsed) << key;
    EXPECT_EQ(parsed->segments, std::vector<std::string>(parts.begin() + 3, parts.end())) << key;
  }
}

TEST(Keys, AreNotReadFromWhatNobodyMade) {
  for (const std::string_view text :
       {"", "rd:inc", "rd:1:acme:session:1", "rd:01:{acme}:session:1", "rd:-1:{acme}:session:1",
        "rd:1:{}:session:1", "rd:1:{acme}:sessions:1", "rd:1:{acme}:session:%3a",
        "rd:1:{acme}:session:%41", "rd:1:{acme}:session:a b", "rd:1:{acme}:session:%4"}) {
    EXPECT_FALSE(parse_key(text)) << text;
  }
}

}  // namespace
}  // namespace redoubt::shared
