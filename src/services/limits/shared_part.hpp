// The soft limits of a check when their memory is in Redis: what is asked there, and what the
// answer says; with a shadow of it in the engine of this process.
//
// While Redis cannot be asked, the engine decides, as one of `instances` that each enforce their
// share: limit/N, and a burst of burst/N rounded up. It goes on from the shadow, so a refused
// caller is not admitted because Redis went away; and what it admits is told to Redis as debt
// afterwards. A limit that is `open` is not enforced then, and owes nothing.
//
// Threads: the worker's.
#pragma once

#include "local/limit_engine.hpp"
#include "services/limits/named_checks.hpp"
#include "shared/limits.hpp"

#include <boost/container/small_vector.hpp>

#include <cstdint>
#include <string_view>

namespace redoubt::limits {

class SharedPart {
 public:
  // `named` outlives it. `enforce_open`: limits that are open without Redis are enforced, too.
  SharedPart(local::LimitEngine& engine, std::string_view tenant, const NamedChecks& named,
             bool enforce_open = false);

  // For shared::SharedLimits.
  using Uses = boost::container::small_vector<shared::LimitUse, 4>;
  Uses uses();

  // Reads the answer to the last uses() into the verdicts of the soft limits, and into the shadow.
  void read(const shared::LimitsReply& reply, Verdicts& out);

  // Without Redis.
  bool take(std::int64_t instances, Verdicts& out);
  bool peek(std::int64_t instances, Verdicts& out);
  void refund(std::int64_t instances, Verdicts& out);

 private:
  struct Share {
    boost::container::static_vector<local::LimitRule, kChecksMax> rules;
    boost::container::static_vector<local::LimitCharge, kChecksMax> charges;
    boost::container::static_vector<std::uint8_t, kChecksMax> checks;  // Of each charge.
    Verdicts verdicts;
  };

  bool is_open(std::uint8_t check) const;
  bool is_known_to_redis(std::size_t i, bool charged) const;
  void share_of(std::int64_t instances, Share& out) const;
  void spread(const Share& share, std::int64_t instances, Verdicts& out) const;
  local::LimitVerdict verdict_of(std::size_t i, const shared::LimitMemory& memory,
                                 const shared::LimitsReply& reply);

  local::LimitEngine& engine_;
  const NamedChecks& named_;
  const bool enforce_open_;
  boost::container::static_vector<local::LimitCharge, kChecksMax> charges_;  // Of the soft ones.
  boost::container::static_vector<local::LimitEngine::Owed, kChecksMax> told_;  // By uses().
};

}  // namespace redoubt::limits
