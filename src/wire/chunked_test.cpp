#include "wire/chunked.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::wire {
namespace {

using Status = ChunkedDecoder::Status;

Status decode(std::string_view input, std::string& body, std::size_t body_max = 1000) {
  ChunkedDecoder decoder(body_max);
  std::size_t used = 0;
  return decoder.feed(input, used, body);
}

Status decode(std::string_view input) {
  std::string body;
  return decode(input, body);
}

TEST(ChunkedDecoder, JoinsChunksAndDropsExtensionsAndTrailers) {
  std::string body;

  const Status status = decode("5;a=\"b\"\r\nhello\r\nA\r\n, 12345678\r\n0\r\nX: y\r\n\r\n", body);

  EXPECT_EQ(status, Status::done);
  EXPECT_EQ(body, "hello, 12345678");
}

TEST(ChunkedDecoder, IsTheSameWhateverTheSplit) {
  const std::string input = "3\r\nabc\r\n10;x\r\n0123456789abcdef\r\n0\r\nT: v\r\n\r\nNEXT";
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    ChunkedDecoder decoder(1000);
    std::string body;
    std::size_t used = 0;
    Status status = decoder.feed(std::string_view(input).substr(0, cut), used, body);
    std::size_t total = used;
    if (status == Status::more) {
      status = decoder.feed(std::string_view(input).substr(cut), used, body);
      total += used;
    }
    ASSERT_EQ(status, Status::done) << cut;
    EXPECT_EQ(total, input.size() - 4) << cut;
    EXPECT_EQ(body, "abc0123456789abcdef");
  }
}

TEST(ChunkedDecoder, RefusesWhatIsNotTheGrammar) {
  EXPECT_EQ(decode("\r\n"), Status::malformed);
  EXPECT_EQ(decode("g\r\n"), Status::malformed);
  EXPECT_EQ(decode("-1\r\n"), Status::malformed);
  EXPECT_EQ(decode("0x1\r\n"), Status::malformed);
  EXPECT_EQ(decode(" 1\r\n"), Status::malformed);
  EXPECT_EQ(decode("1 \r\n"), Status::malformed);
  EXPECT_EQ(decode("1\n"), Status::malformed);
  EXPECT_EQ(decode("1\r\naa\r\n"), Status::malformed);
  EXPECT_EQ(decode("1\r\na\n"), Status::malformed);
  EXPECT_EQ(decode("000000001\r\n"), Status::malformed);
  EXPECT_EQ(decode("FFFFFFFFFFFFFFFF\r\n"), Status::malformed);
  EXPECT_EQ(decode("1;" + std::string(300, 'x') + "\r\n"), Status::malformed);
  EXPECT_EQ(decode("1;a\nb\r\n"), Status::malformed);
  EXPECT_EQ(decode("0\r\n" + std::string(9000, 'x')), Status::malformed);
  EXPECT_EQ(decode("0\r\n\r\r"), Status::malformed);
}

TEST(ChunkedDecoder, BoundsTheBodyBeforeItArrives) {
  std::string body;
  EXPECT_EQ(decode("65\r\n", body, 100), Status::too_large);
  EXPECT_EQ(decode("32\r\n" + std::string(50, 'a') + "\r\n33\r\n", body, 100), Status::too_large);
  EXPECT_LE(body.size(), 100u);
}

TEST(ChunkedDecoder, WaitsForMore) {
  EXPECT_EQ(decode(""), Status::more);
  EXPECT_EQ(decode("5\r\nhel"), Status::more);
  EXPECT_EQ(decode("0\r\n"), Status::more);
}

}  // namespace
}  // namespace redoubt::wire
