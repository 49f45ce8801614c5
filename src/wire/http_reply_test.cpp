#include "wire/http_reply.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::wire {
namespace {

using Status = HttpReply::Status;

struct Read {
  Status status = Status::more;
  std::string body;
  int code = 0;
  std::size_t used = 0;
};

// Fed in two parts, as a connection would: what is not taken comes again.
Read read(std::string_view text, std::size_t cut = std::string_view::npos,
          std::size_t body_max = 1000) {
  HttpReply reply(body_max);
  Read result;
  std::size_t from = 0;
  for (const std::size_t to : {std::min(cut, text.size()), text.size()}) {
    if (result.status != Status::more) break;
    std::size_t used = 0;
    result.status = reply.feed(text.substr(from, to - from), used);
    from += used;
  }
  result.used = from;
  result.code = reply.status();
  result.body = reply.body();
  return result;
}

TEST(HttpReplyTest, ReadsABodyHoweverItIsCut) {
  const std::vector<std::string> replies = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 200\r\ncontent-length:5\r\nX: y\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  };
  for (const std::string& text : replies) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const Read result = read(text, cut);
      ASSERT_EQ(result.status, Status::done) << text << cut;
      EXPECT_EQ(result.body, "hello");
      EXPECT_EQ(result.code, 200);
      EXPECT_EQ(result.used, text.size());
    }
  }
}

TEST(HttpReplyTest, EndsWithTheConnectionOnlyWhenNothingElseSaysWhere) {
  HttpReply open(1000);
  std::size_t used = 0;
  EXPECT_EQ(open.feed("HTTP/1.1 200 OK\r\n\r\nhel", used), Status::more);
  EXPECT_EQ(open.closed(), Status::done);
  EXPECT_FALSE(open.keeps_alive());
  HttpReply cut(1000);
  EXPECT_EQ(cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", used), Status::more);
  EXPECT_EQ(cut.closed(), Status::malformed);
  HttpReply nothing(1000);
  EXPECT_EQ(nothing.closed(), Status::malformed);
}

TEST(HttpReplyTest, KnowsWhetherTheConnectionStays) {
  const auto keeps = [](std::string_view head) {
    HttpReply reply(1000);
    std::size_t used = 0;
    EXPECT_EQ(reply.feed(head, used), Status::done) << head;
    return reply.keeps_alive();
  };
  EXPECT_TRUE(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(keeps("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
}

TEST(HttpReplyTest, RefusesWhatCouldBeReadTwoWays) {
  for (const char* text :
       {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_EQ(read(text).status, Status::malformed) << text;
  }
}

TEST(HttpReplyTest, IsBounded) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", 0, 5).status,
            Status::malformed);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\nhello!", 0, 5).status, Status::malformed);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x')).status, Status::malformed);
}

}  // namespace
}  // namespace redoubt::wire
