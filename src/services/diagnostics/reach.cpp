#include "services/diagnostics/reach.hpp"

#include "base/text.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace redoubt::diagnostics {
namespace {

Reach reach_of_v4(std::uint32_t address) {
  const auto within = [&](std::uint32_t network, int bits) {
    return (address ^ network) >> (32 - bits) == 0;
  };
  if (within(0x7f000000, 8)) return Reach::loopback;
  const bool own = within(0x0a000000, 8) || within(0xac100000, 12) || within(0xc0a80000, 16) ||
                   within(0xa9fe0000, 16) || within(0x64400000, 10);
  return own ? Reach::private_network : Reach::anywhere;
}

Reach reach_of_v6(const in6_addr& address) {
  if (IN6_IS_ADDR_LOOPBACK(&address)) return Reach::loopback;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    std::uint32_t v4 = 0;
    std::memcpy(&v4, address.s6_addr + 12, sizeof v4);
    return reach_of_v4(ntohl(v4));
  }
  const bool own = (address.s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(&address);
  return own ? Reach::private_network : Reach::anywhere;
}

Reach reach_of_name(std::string_view name) {
  const std::string lower = to_lower(name);
  if (lower == "localhost" || lower.ends_with(".localhost")) return Reach::loopback;
  if (!lower.contains('.')) return Reach::private_network;
  constexpr std::array<std::string_view, 5> kOwn{".local", ".internal", ".lan", ".svc",
                                                 ".home.arpa"};
  const bool own =
      std::ranges::any_of(kOwn, [&](std::string_view end) { return lower.ends_with(end); });
  return own ? Reach::private_network : Reach::anywhere;
}

}  // namespace

Reach reach_of(std::string_view host) {
  const std::string text(host);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return reach_of_v4(ntohl(v4.s_addr));
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return reach_of_v6(v6);
  return reach_of_name(host);
}

}  // namespace redoubt::diagnostics
