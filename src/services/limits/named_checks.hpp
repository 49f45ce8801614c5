// A check with its names looked up: which policy each limit is, and who decides it.
#pragma once

#include "local/limit_engine.hpp"
#include "services/limits/policies.hpp"

#include <redoubt/limits.hpp>

#include <boost/container/static_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace redoubt::limits {

inline constexpr std::size_t kChecksMax = local::LimitEngine::kChargesMax;
inline constexpr std::size_t kSubjectMax = 512;
inline constexpr std::int64_t kCostMax = 1'000'000;

// The texts of the checks outlive it. `soft` and `strict` hold positions in `checks`.
struct NamedChecks {
  std::span<const LimitCheck> checks;
  boost::container::static_vector<const Policies::Entry*, kChecksMax> entries;
  boost::container::static_vector<std::uint8_t, kChecksMax> soft;
  boost::container::static_vector<std::uint8_t, kChecksMax> strict;
};

// Errors: invalid_argument that points at the limit and its field.
Result<void> name_checks(const Policies& policies, std::span<const LimitCheck> checks,
                         NamedChecks& out);

// One verdict for each check, in their order.
using Verdicts = boost::container::static_vector<local::LimitVerdict, kChecksMax>;

LimitDecision decision_of(const NamedChecks& named, const Verdicts& verdicts);
void count_verdicts(const NamedChecks& named, const Verdicts& verdicts);
void count_failures(const NamedChecks& named);

// What the engine is asked about the soft ones, and its answer put where it belongs.
class SoftPart {
 public:
  SoftPart(local::LimitEngine& engine, std::string_view tenant, const NamedChecks& named);

  bool take(Verdicts& out);
  bool peek(Verdicts& out);
  void refund(Verdicts& out);

 private:
  // Where the engine puts its verdicts: at their positions at once if there are no others.
  std::span<local::LimitVerdict> target(Verdicts& out);
  void spread(Verdicts& out) const;

  local::LimitEngine& engine_;
  const NamedChecks& named_;
  boost::container::static_vector<local::LimitCharge, kChecksMax> charges_;
  Verdicts verdicts_;
};

}  // namespace redoubt::limits
