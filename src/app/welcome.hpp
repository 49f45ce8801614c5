// What a start prints: where the server is, what keeps its data, and the next command to type.
#pragma once

#include "config/config.hpp"

#include <redoubt/tenants.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace redoubt::app {

// The only time that it is shown: printed too when the start fails after it was made.
void print_first_key(const IssuedApiKey& key);

void print_welcome(const config::Config& config, const std::vector<std::uint16_t>& ports,
                   const std::optional<IssuedApiKey>& first_key);

}  // namespace redoubt::app
