#include "operations/sessions_replies.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace redoubt::operations {
namespace {

std::string by_field(const SessionReply& reply) {
  std::string out = "before";
  write_object(out, fields_of<SessionReply>(), &reply);
  return out;
}

std::string at_once(const SessionReply& reply) {
  std::string out = "before";
  write_reply(out, reply);
  return out;
}

TEST(SessionReply, IsWrittenAsItsFieldsSay) {
  constexpr std::array kTexts = std::to_array<std::string_view>(
      {"", "a", "user-00000001", "with space / and ~", "a \"quoted\" one", "back\\slash", "\x01",
       "\x7f", "caf\u00e9", "not utf-8 \xff",
       "a text that is longer than any inline buffer of 64 bytes"
       " would be, twice over, to be sure of that"});
  constexpr std::array kNumbers = std::to_array<std::int64_t>(
      {0, 1, 999, 1'000, 1'500, -1'000, -1, 3'600'000, 1'800'000'000'123, 253'402'300'799'999,
       std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()});
  FastRandom random(1);
  const auto text = [&] { return std::string(kTexts[random.next() % kTexts.size()]); };
  const auto number = [&] { return kNumbers[random.next() % kNumbers.size()]; };
  for (int round = 0; round < 20'000; ++round) {
    const bool plain = round % 2 == 0;
    auto session = std::make_shared<Session>();
    session->id = plain ? "ses_0000000000000000000000" : text();
    session->user = plain ? "ada" : text();
    session->agent = plain ? "" : text();
    session->device = plain ? "phone" : text();
    session->address = plain ? "::1" : text();
    session->data = R"({"plan":"pro"})";
    session->version = number();
    session->idle_ttl = Duration(number());
    session->created_at = WallTime{number()};
    session->last_seen_at = WallTime{number()};
    session->absolute_expires_at = WallTime{number()};
    SessionReply reply;
    reply.session = session;
    reply.expires_at = WallTime{number()};

    ASSERT_EQ(at_once(reply), by_field(reply));
  }
}

// A field that is added to the description must be written too.
TEST(SessionReply, HasTheFieldsThatAreWrittenAtOnce) {
  EXPECT_EQ(fields_of<SessionReply>().size(), 12u);
}

}  // namespace
}  // namespace redoubt::operations
