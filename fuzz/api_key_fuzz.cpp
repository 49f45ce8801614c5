// Any text as an API key: what parses has exactly the written form that the same parts give.
#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "services/tenants/api_key_token.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace redoubt;

void check(std::string_view text) {
  const auto token = tenants::parse_api_key(text);
  if (!token) return;
  Key256 secret;
  RD_ASSERT(decode_base62(text.substr(27, 44), secret), "a canonical secret");
  RD_ASSERT(tenants::format_api_key(token->id, secret) == text, "one spelling");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text({data, size}));
  check(text);

  // A checksum by chance is rare: give the input a good one, so that the rest is reached.
  std::string with_crc = text.substr(0, 71);
  const std::uint32_t crc = crc32(with_crc);
  with_crc += '_';
  append_crc62(with_crc, crc);
  check(with_crc);
  return 0;
}
