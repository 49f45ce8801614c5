// Many runs, one seed after the other, until there are enough of them or one fails.
#pragma once

#include "tests/sim/simulation.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace redoubt::sim {

struct Enough {
  std::uint64_t runs = UINT64_MAX;
  std::uint64_t operations = UINT64_MAX;
  std::chrono::steady_clock::duration time = std::chrono::hours(24 * 365);  // Of the machine.
};

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t faulty_runs = 0;  // With a fault in them.
  std::uint64_t operations = 0;
  std::uint64_t events = 0;
  Nanos simulated{0};  // Instance time.
  LimitTally limits;
  std::chrono::duration<double> took{0};

  double cluster_hours() const {
    return std::chrono::duration<double, std::ratio<3600>>(simulated).count();
  }
};

struct Failure {
  Plan plan;
  Violations violations;
};

// From `first` on. Stops at the first failure.
std::optional<Failure> campaign(std::uint64_t first, const PlanOptions& options,
                                const Enough& enough, Truth& truth, Totals& totals);

// For people: what was run, how fast, and how often each row of the limits was in force.
std::string describe(const Totals& totals);
// A failure made small, and how to run it again.
std::string describe_shrunk(const Failure& failure, Truth& truth);

}  // namespace redoubt::sim
