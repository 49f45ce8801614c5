#include "local/invalidations.hpp"

#include "base/random.hpp"

#include <cstring>

namespace redoubt::local {
namespace {

SipKey draw_key() {
  std::array<std::uint8_t, sizeof(SipKey)> bytes{};
  SystemRandom().fill(bytes);
  SipKey key;
  std::memcpy(&key, bytes.data(), bytes.size());
  return key;
}

}  // namespace

Invalidations::Invalidations() : Invalidations(draw_key()) {}

std::uint32_t Invalidations::slot(std::string_view name) const {
  return static_cast<std::uint32_t>(siphash128(key_, name).lo % kSlots);
}

}  // namespace redoubt::local
