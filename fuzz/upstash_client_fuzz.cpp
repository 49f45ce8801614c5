// Whatever a REST service answers: no crash, and the same however the bytes are cut. The first byte
// says where; the rest is an HTTP response.
#include "fuzz/check.hpp"
#include "wire/http_reply.hpp"
#include "wire/upstash_client.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace redoubt::wire::upstash {
namespace {

using fuzz::check;

constexpr std::size_t kBodyMax = 4096;

struct Read {
  HttpReply::Status status = HttpReply::Status::more;
  std::string body;
  int code = 0;
  friend bool operator==(const Read&, const Read&) = default;
};

Read read(std::string_view text, std::size_t cut) {
  HttpReply reply(kBodyMax);
  Read result;
  std::size_t from = 0;
  for (const std::size_t to : {cut, text.size()}) {
    if (result.status != HttpReply::Status::more) break;
    std::size_t used = 0;
    result.status = reply.feed(text.substr(from, to - from), used);
    check(used <= to - from);
    from += used;
  }
  if (result.status == HttpReply::Status::more) result.status = reply.closed();
  result.code = reply.status();
  result.body = reply.body();
  return result;
}

std::vector<std::string> events(std::string_view text, std::size_t cut) {
  EventReader reader(1 << 20);
  std::vector<std::string> found;
  const auto keep = [&](std::string_view event) { found.emplace_back(event); };
  check(reader.feed(text.substr(0, cut), keep));
  check(reader.feed(text.substr(cut), keep));
  return found;
}

}  // namespace

void fuzz_one(std::string_view input) {
  if (input.empty()) return;
  const std::size_t seed = static_cast<std::uint8_t>(input.front());
  input.remove_prefix(1);
  const std::size_t cut = input.empty() ? 0 : seed % input.size();
  const Read whole = read(input, input.size());
  const Read parts = read(input, cut);
  check(whole.status == parts.status);
  if (whole.status == HttpReply::Status::done) check(whole == parts);
  check(events(input, 0) == events(input, cut));
  for (const std::string_view text : {input, std::string_view(whole.body)}) {
    read_reply(text);
    if (const auto replies = read_replies(text)) check(replies->size() <= text.size());
  }
}

}  // namespace redoubt::wire::upstash

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  redoubt::wire::upstash::fuzz_one(redoubt::fuzz::text_of(data, size));
  return 0;
}
