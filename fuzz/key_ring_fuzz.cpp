// Any text as TOKEN_ENCRYPTION_KEY: either a ring whose keys are distinct and usable, or an error
// that quotes no key.
#include "base/assert.hpp"
#include "base/vault.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

// Sixteen hex digits in a row are half a key's strength, and no sentence of ours has them.
bool quotes_key_material(std::string_view message, std::string_view input) {
  constexpr std::size_t kRun = 16;
  for (std::size_t i = 0; i + kRun <= input.size(); ++i) {
    const std::string_view run = input.substr(i, kRun);
    if (run.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) continue;
    if (message.find(run) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace redoubt;
  const std::string text(as_text({data, size}));
  const auto ring = parse_key_ring(Secret(text));
  if (!ring) {
    RD_ASSERT(ring.error().fields.size() == 1, "one reason");
    RD_ASSERT(!quotes_key_material(ring.error().fields[0].detail, text), "the error quotes a key");
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
