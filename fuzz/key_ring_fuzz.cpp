// Any text as TOKEN_ENCRYPTION_KEY: either a ring whose keys are distinct and usable, or an error
// that does not quote the text.
#include "base/assert.hpp"
#include "base/vault.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace redoubt;
  const std::string text(as_text({data, size}));
  const auto ring = parse_key_ring(Secret(text));
  if (!ring) {
    RD_ASSERT(ring.error().fields.size() == 1, "one reason");
    RD_ASSERT(size < 16 || ring.error().fields[0].detail.find(text) == std::string::npos,
              "the error quotes the key");
    return 0;
  }
  RD_ASSERT(!ring->empty() && ring->size() <= 16, "a bounded ring");
  for (std::size_t i = 0; i < ring->size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      RD_ASSERT((*ring)[i].id != (*ring)[j].id && (*ring)[i].label != (*ring)[j].label, "distinct");
    }
  }
  return 0;
}
