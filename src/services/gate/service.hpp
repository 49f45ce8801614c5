#pragma once

#include <redoubt/gate.hpp>

#include <memory>

namespace redoubt::gate {

// Both outlive the gate.
std::unique_ptr<Gate> make_gate(Sessions& sessions, Limits& limits);

}  // namespace redoubt::gate
