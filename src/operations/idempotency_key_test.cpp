#include "operations/idempotency_key.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::operations {
namespace {

std::string key_of(std::string_view value) {
  const auto key = parse_idempotency_key(value);
  return key ? *key : "refused: " + key.error().fields.at(0).code;
}

TEST(IdempotencyKey, IsTheSameQuotedOrNot) {
  EXPECT_EQ(key_of("8e03978e-40d5"), "8e03978e-40d5");
  EXPECT_EQ(key_of(R"("8e03978e-40d5")"), "8e03978e-40d5");
}

TEST(IdempotencyKey, MayHaveSpacesAndEscapesInQuotes) {
  EXPECT_EQ(key_of(R"("order 17; of \"today\" \\")"), R"(order 17; of "today" \)");
}

TEST(IdempotencyKey, HasABoundedLength) {
  const std::string longest(128, 'k');
  EXPECT_EQ(key_of(longest), longest);
  EXPECT_EQ(key_of('"' + longest + '"'), longest);
  EXPECT_EQ(key_of(longest + 'k'), "refused: length");
  EXPECT_EQ(key_of(R"("")"), "refused: length");
}

TEST(IdempotencyKey, IsNotGuessedAt) {
  for (const std::string_view value :
       {R"(")", R"("open)", R"(closed")", R"("a"b")", R"("a\b")", R"("a\")", R"("a";p=1)", "a, b",
        "a,b", "a b", "a;b", "a\\b", "caf\xc3\xa9", "\"caf\xc3\xa9\"", "\"tab\t\""}) {
    EXPECT_EQ(key_of(value), "refused: format") << value;
  }
}

}  // namespace
}  // namespace redoubt::operations
