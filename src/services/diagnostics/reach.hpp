// How far an address is: what crosses a network that others are on must be encrypted and guarded.
#pragma once

#include <cstdint>
#include <string_view>

namespace redoubt::diagnostics {

enum class Reach : std::uint8_t {
  loopback,         // This machine, or a Unix socket.
  private_network,  // RFC 1918, RFC 4193, link-local, RFC 6598; names that only a network of one's
                    // own resolves: without a dot, or under .local, .internal, .lan, .svc.
  anywhere,
};

// A literal address or a name, without port and brackets. Resolves nothing.
Reach reach_of(std::string_view host);

}  // namespace redoubt::diagnostics
