// Whatever a server sends, and however it is cut, the decoder says what a second, simple decoder
// says; and what it accepts, written again, is read the same.
#include "fuzz/check.hpp"
#include "tests/support/resp_reference.hpp"
#include "wire/resp.hpp"

#include <algorithm>

namespace redoubt {
namespace {

using fuzz::check;
using Status = wire::resp::Decoder::Status;
using wire::resp::Value;

constexpr wire::resp::Limits kLimits{.depth = 16, .elements = 10'000, .bytes = 1024 * 1024};

struct Outcome {
  std::vector<Value> values;
  bool malformed = false;
  std::size_t position = 0;
};

Outcome decode(std::string_view text, std::size_t piece) {
  wire::resp::Decoder decoder(kLimits);
  Outcome outcome;
  std::size_t arrived = 0;
  while (arrived < text.size() && !outcome.malformed) {
    arrived = std::min(text.size(), arrived + piece);
    Status status = Status::value;
    while (status == Status::value) {
      Value value;
      std::size_t used = 0;
      status =
          decoder.decode(text.substr(outcome.position, arrived - outcome.position), used, value);
      outcome.position += used;
      if (status == Status::value) outcome.values.push_back(std::move(value));
    }
    outcome.malformed = status == Status::malformed;
  }
  return outcome;
}

void check_reference(std::string_view text, const Outcome& outcome) {
  test::RespReference reference(text);
  for (const Value& value : outcome.values) {
    Value expected;
    check(reference.read(expected) == test::RespReference::Verdict::value);
    check(expected == value);
  }
  if (outcome.malformed) return;  // Perhaps over a limit that the simple decoder does not have.
  Value rest;
  check(reference.read(rest) == test::RespReference::Verdict::incomplete);
}

void check_round_trip(const Outcome& outcome) {
  for (const Value& value : outcome.values) {
    std::string written;
    wire::resp::append_value(written, value);
    const Outcome again = decode(written, written.size());
    if (again.malformed)
      continue;  // A null or a number may be longer than it was, so over a limit.
    check(again.values.size() == 1 && again.values[0] == value);
  }
}

}  // namespace
}  // namespace redoubt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text = redoubt::fuzz::text_of(data + 1, size - 1);
  const auto whole = redoubt::decode(text, std::max<std::size_t>(text.size(), 1));
  const auto pieces = redoubt::decode(text, std::size_t{1} + data[0] % 16);
  redoubt::check(whole.malformed == pieces.malformed);
  redoubt::check(whole.values == pieces.values);
  redoubt::check_reference(text, whole);
  redoubt::check_round_trip(whole);
  return 0;
}
