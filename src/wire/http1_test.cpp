#include "wire/http1.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::wire {
namespace {

struct Read {
  HeadResult result;
  RequestHead head;
  std::string input;
};

// A head that is followed by something is read in another way than one that is alone.
void expect_the_same_before_a_body(const Read& alone, HeadLimits limits) {
  const std::string followed = alone.input + "x";
  std::size_t scanned = 0;
  RequestHead head;
  const HeadResult result = read_request_head(followed, scanned, limits, head);
  EXPECT_EQ(result.kind, alone.result.kind) << alone.input;
  EXPECT_EQ(result.size, alone.result.size) << alone.input;
  EXPECT_EQ(result.reason, alone.result.reason) << alone.input;
  EXPECT_EQ(head.field_count, alone.head.field_count) << alone.input;
}

// The head keeps views into `input`, so it lives beside them.
std::unique_ptr<Read> read(std::string input, HeadLimits limits = {}) {
  auto out = std::make_unique<Read>();
  out->input = std::move(input);
  std::size_t scanned = 0;
  out->result = read_request_head(out->input, scanned, limits, out->head);
  expect_the_same_before_a_body(*out, limits);
  return out;
}

std::string with(std::string_view fields) {
  return "GET /a HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
}

void expect_refused(const std::string& input, int status) {
  const auto r = read(input);
  EXPECT_EQ(r->result.kind, HeadResult::Kind::refused) << input;
  EXPECT_EQ(r->result.status, status) << input;
  EXPECT_FALSE(r->result.reason.empty());
}

void expect_complete(const std::string& input) {
  const auto r = read(input);
  EXPECT_EQ(r->result.kind, HeadResult::Kind::complete) << input << r->result.reason;
}

TEST(RequestHead, IsReadWithoutCopies) {
  const auto r = read(
      "POST /api/v1/x?limit=2&a=b HTTP/1.1\r\nHost: example.com:3284\r\n"
      "Content-Length: 5\r\nX-Empty:\r\nX-Spaced: \t two words \t\r\n\r\nhello");

  ASSERT_EQ(r->result.kind, HeadResult::Kind::complete);
  EXPECT_EQ(r->result.size, r->input.size() - 5);
  EXPECT_EQ(r->head.method, HttpMethod::post);
  EXPECT_EQ(r->head.path, "/api/v1/x");
  EXPECT_EQ(r->head.query, "limit=2&a=b");
  EXPECT_EQ(r->head.host, "example.com:3284");
  EXPECT_EQ(r->head.body, BodyKind::length);
  EXPECT_EQ(r->head.content_length, 5u);
  EXPECT_TRUE(r->head.keep_alive);
  EXPECT_EQ(r->head.field("x-spaced"), "two words");
  EXPECT_EQ(r->head.field("x-empty"), "");
}

TEST(RequestHead, IsTheSameHoweverTheBytesArrive) {
  const std::string whole = "GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
  std::size_t scanned = 0;
  RequestHead head;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto r = read_request_head(std::string_view(whole).substr(0, n), scanned, {}, head);
    ASSERT_EQ(r.kind, HeadResult::Kind::incomplete) << n;
  }
  const auto r = read_request_head(whole, scanned, {}, head);
  EXPECT_EQ(r.kind, HeadResult::Kind::complete);
  EXPECT_EQ(head.path, "/a");
  EXPECT_EQ(head.field("accept"), "*/*");
}

TEST(RequestHead, RefusesWhatSmugglesRequests) {
  expect_refused(with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
  expect_refused(with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400);
  expect_refused(with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
  expect_refused(with("Content-Length: 5\r\nContent-Length: 6\r\n"), 400);
  expect_refused(with("Content-Length: 5, 5\r\n"), 400);
  expect_refused(with("Content-Length: +5\r\n"), 400);
  expect_refused(with("Content-Length: -5\r\n"), 400);
  expect_refused(with("Content-Length: 0x5\r\n"), 400);
  expect_refused(with("Content-Length: 5 5\r\n"), 400);
  expect_refused(with("Content-Length:\r\n"), 400);
  expect_refused(with("Content-Length: 99999999999999999999\r\n"), 400);
  expect_refused(with("Transfer-Encoding: gzip, chunked\r\n"), 400);
  expect_refused(with("Transfer-Encoding: chunked, identity\r\n"), 400);
  expect_refused(with("Transfer-Encoding: xchunked\r\n"), 400);
  expect_refused(with("Transfer-Encoding: \"chunked\"\r\n"), 400);
  expect_refused(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  expect_refused(with("Transfer-Encoding:\r\n"), 400);
  expect_refused(with("Transfer-Encoding : chunked\r\n"), 400);
  expect_refused(with("Transfer-Encoding: chunked\x0b\r\n"), 400);
  expect_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
  expect_complete(with("Transfer-Encoding: CHUNKED\r\n"));
}

TEST(RequestHead, RefusesBytesThatTwoReadersSeeDifferently) {
  expect_refused("GET / HTTP/1.1\nHost: x\n\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400);
  expect_refused(with("A: b\r\n c\r\n"), 400);
  expect_refused(with("A: b\r\n\tc\r\n"), 400);
  expect_refused("GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400);
  expect_refused(with("A : b\r\n"), 400);
  expect_refused(with("A\t: b\r\n"), 400);
  expect_refused(with(": b\r\n"), 400);
  expect_refused(with("A b: c\r\n"), 400);
  expect_refused(with("A\r\n"), 400);
  expect_refused(with(std::string("A: b\0c\r\n", 8)), 400);
  expect_refused(with(std::string("A\0: b\r\n", 7)), 400);
  expect_refused(with("A: b\x01\r\n"), 400);
  expect_refused(with("A: b\x7f\r\n"), 400);
  expect_refused(with("A(b): c\r\n"), 400);
  expect_complete(with("A: caf\xc3\xa9\r\n"));
}

TEST(RequestHead, SeesEveryByteAtEveryPlace) {
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool in_value = (c >= 0x20 && c != 0x7f) || byte == '\t';
    const bool in_target = c > 0x20 && c < 0x7f && byte != '#';
    for (std::size_t before = 1; before < 20; ++before) {
      const std::string text = std::string(before, 'a') + byte + "bcdefghij";
      const auto value = read(with("A: " + text + "\r\n"));
      ASSERT_EQ(value->result.kind == HeadResult::Kind::complete, in_value) << c << " " << before;
      const auto target = read("GET /" + text + " HTTP/1.1\r\nHost: x\r\n\r\n");
      ASSERT_EQ(target->result.kind == HeadResult::Kind::complete, in_target) << c << " " << before;
    }
  }
}

TEST(RequestHead, EndsAtItsFirstEmptyLine) {
  const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n";

  EXPECT_EQ(read(head + "body\r\n\r\n")->result.size, head.size());
  EXPECT_EQ(read(head + "\r\n\r\n\r\n\r\n")->result.size, head.size());
  EXPECT_EQ(read("\r\n" + head)->result.size, head.size() + 2);
}

TEST(RequestHead, RefusesMalformedRequestLines) {
  expect_refused("GET\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET /\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused(" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / http/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / HTTP/11\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
  expect_refused("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET /caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_refused("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 400);
  expect_refused("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_complete("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_complete("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
}

TEST(RequestHead, WantsExactlyOneGoodHost) {
  expect_refused("GET / HTTP/1.1\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: user@x\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x:port\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x:123456\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x[1]\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: [::/1]\r\n\r\n", 400);
  expect_refused("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", 400);
  expect_complete("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_complete("GET / HTTP/1.1\r\nHost: [::1]:3284\r\n\r\n");
  expect_complete("GET / HTTP/1.0\r\n\r\n");
}

TEST(RequestHead, KeepsItsLimits) {
  const std::string long_value(9000, 'a');
  expect_refused("GET /" + long_value + " HTTP/1.1\r\nHost: x\r\n\r\n", 414);
  expect_refused("GET /" + long_value, 414);
  expect_refused(with("A: " + long_value + "\r\n"), 431);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "A: b\r\n";
  expect_refused(with(many), 431);
  std::string large;
  for (int i = 0; i < 50; ++i) large += "A: " + std::string(1000, 'a') + "\r\n";
  expect_refused(with(large), 431);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\n" + large, 431);
}

TEST(RequestHead, UnderstandsConnectionAndExpect) {
  EXPECT_FALSE(read(with("Connection: close\r\n"))->head.keep_alive);
  EXPECT_FALSE(read(with("Connection: x, Close\r\n"))->head.keep_alive);
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n")->head.keep_alive);
  EXPECT_TRUE(read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->head.keep_alive);
  EXPECT_TRUE(read(with("Expect: 100-Continue\r\n"))->head.expects_continue);
  expect_refused(with("Expect: 200-ok\r\n"), 417);
}

TEST(AsciiIequals, ForgivesTheCaseOfLettersAlone) {
  EXPECT_TRUE(ascii_iequals("X-Forwarded-FOR", "x-forwarded-for"));
  EXPECT_TRUE(ascii_iequals("", ""));
  EXPECT_FALSE(ascii_iequals("x-forwarded-fo", "x-forwarded-for"));
  for (const std::string name : {"az-09_~@[`{|mnop", "az-09_~"}) {
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string other = name;
        other[at] = static_cast<char>(c);
        const bool letter = name[at] >= 'a' && name[at] <= 'z';
        const bool same = other[at] == name[at] || (letter && c == name[at] - 32);
        ASSERT_EQ(ascii_iequals(other, name), same) << at << " " << c;
      }
    }
  }
}

}  // namespace
}  // namespace redoubt::wire
