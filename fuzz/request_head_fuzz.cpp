// Request heads and chunked bodies: no crash, no view outside the input, and the same answer
// however the bytes are cut.
#include "wire/chunked.hpp"
#include "wire/http1.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace redoubt::wire;

void require(bool holds) {
  if (!holds) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() || part == "/" ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_head(std::string_view input) {
  RequestHead head;
  std::size_t scanned = 0;
  const HeadResult whole = read_request_head(input, scanned, {}, head);
  if (whole.kind == HeadResult::Kind::complete) {
    require(whole.size <= input.size());
    require(inside(head.path, input) && inside(head.query, input) && inside(head.host, input));
    for (std::size_t i = 0; i < head.field_count; ++i) {
      require(inside(head.fields[i].name, input) && inside(head.fields[i].value, input));
    }
    require(head.body != BodyKind::length || head.content_length < 1'000'000'000'000'000'000u);
  }
  std::size_t stepwise_scanned = 0;
  HeadResult stepwise;
  for (std::size_t n = 0; n <= input.size(); n += 1 + n / 8) {
    stepwise = read_request_head(input.substr(0, n), stepwise_scanned, {}, head);
    if (stepwise.kind != HeadResult::Kind::incomplete) break;
  }
  if (stepwise.kind == HeadResult::Kind::complete) {
    require(whole.kind == HeadResult::Kind::complete && whole.size == stepwise.size);
  }
}

void check_chunks(std::string_view input) {
  ChunkedDecoder at_once(4096);
  std::string body;
  std::size_t used = 0;
  const auto whole = at_once.feed(input, used, body);
  require(body.size() <= 4096 && used <= input.size());
  ChunkedDecoder bytewise(4096);
  std::string same;
  auto status = ChunkedDecoder::Status::more;
  for (std::size_t i = 0; i < input.size() && status == ChunkedDecoder::Status::more; ++i) {
    std::size_t one = 0;
    status = bytewise.feed(input.substr(i, 1), one, same);
  }
  require(status == whole && same == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_head(input);
  check_chunks(input);
  return 0;
}
