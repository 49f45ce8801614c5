#include <redoubt/error.hpp>

#include <gtest/gtest.h>

#include <set>

namespace redoubt {
namespace {

TEST(Error, EveryCodeHasItsOwnSlugAndJsonRpcCode) {
  std::set<std::string_view> slugs;
  std::set<int> rpc_codes;
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    const ErrcTraits& row = traits(static_cast<Errc>(i));
    EXPECT_EQ(static_cast<int>(row.code), i);
    EXPECT_TRUE(slugs.insert(row.slug).second) << row.slug;
    EXPECT_TRUE(rpc_codes.insert(row.json_rpc_code).second) << row.json_rpc_code;
    EXPECT_TRUE(row.http_status >= 400 && row.http_status <= 599) << row.slug;
    EXPECT_FALSE(row.title.empty());
  }
}

TEST(Error, OwnJsonRpcCodesStayOutOfTheReservedRange) {
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    const int code = traits(static_cast<Errc>(i)).json_rpc_code;
    const bool standard = code == -32602 || code == -32603;
    EXPECT_TRUE(standard || code > -32000 || code < -32768) << code;
  }
}

TEST(Error, OnlyRefusalsForNowAreRetryable) {
  EXPECT_TRUE(traits(Errc::unavailable).retryable);
  EXPECT_TRUE(traits(Errc::rate_limited).retryable);
  EXPECT_FALSE(traits(Errc::deadline_exceeded).retryable);
  EXPECT_FALSE(traits(Errc::invalid_argument).retryable);
}

TEST(Error, AnUnknownCodeIsInternal) {
  EXPECT_EQ(traits(static_cast<Errc>(200)).code, Errc::internal);
}

TEST(Error, TheSlugFallsBackToThatOfTheCode) {
  EXPECT_EQ(slug_of(Error(Errc::conflict, "", "busy")), "conflict");
  EXPECT_EQ(slug_of(Error(Errc::conflict, "lock_taken", "busy")), "lock_taken");
}

TEST(Error, InvalidArgumentNamesTheFieldInItsMessageAndPointsAtIt) {
  const Error error = invalid_argument("body.limits.0.name", "must not be empty", "length");

  EXPECT_EQ(error.message, "body.limits.0.name must not be empty");
  ASSERT_EQ(error.fields.size(), 1u);
  EXPECT_EQ(error.fields[0].pointer, "/limits/0/name");
  EXPECT_EQ(error.fields[0].location, "body.limits.0.name");
  EXPECT_EQ(error.fields[0].detail, "must not be empty");
  EXPECT_EQ(error.fields[0].code, "length");
}

TEST(Error, PointersEscapeAsRfc6901AndExistOnlyForTheBody) {
  EXPECT_EQ(invalid_argument("body.a/b~c", "x").fields[0].pointer, "/a~1b~0c");
  EXPECT_EQ(invalid_argument("query.limit", "x").fields[0].pointer, "");
  EXPECT_TRUE(invalid_argument("", "the body is not JSON").fields.empty());
  EXPECT_EQ(invalid_argument("", "the body is not JSON").message, "the body is not JSON");
}

TEST(Error, NotFoundReadsAsASentence) {
  const Error error = not_found("api_key");

  EXPECT_EQ(error.slug, "api_key_not_found");
  EXPECT_EQ(error.message, "no such api key");
}

TEST(Error, CausesStayOutOfTheMessage) {
  EXPECT_EQ(internal("disk /dev/sda died").message.find("sda"), std::string::npos);
  EXPECT_EQ(internal("disk /dev/sda died").cause, "disk /dev/sda died");
  EXPECT_EQ(unavailable("record_away", "try later", "EIO").message, "try later");
  EXPECT_EQ(unauthenticated("token_expired", "sign in again").code, Errc::unauthenticated);
}

}  // namespace
}  // namespace redoubt
