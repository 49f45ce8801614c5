// One run of a plan: the cluster under its faults and its clients, then the heal, then the verdict.
//
// Deterministic: equal plans make equal histories (Outcome::digest), on any machine.
#pragma once

#include "tests/sim/checkers.hpp"
#include "tests/sim/history.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/truth.hpp"

#include <cstdint>

namespace redoubt::sim {

struct Verdict {
  Violations violations;
  LimitTally limits;
  std::uint64_t operations = 0;
  std::uint64_t events = 0;
  std::uint64_t digest = 0;
  Nanos simulated{0};  // Times the instances: what a cluster-hour is made of.
};

// `truth` is cleared first, so that one serves many runs.
Verdict simulate(const Plan& plan, Truth& truth);
// The history too, for looking at it.
Verdict simulate(const Plan& plan, Truth& truth, History& history);

}  // namespace redoubt::sim
