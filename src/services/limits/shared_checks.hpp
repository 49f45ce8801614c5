// Checks whose soft limits live in Redis, and their strict ones in the record.
//
// Redis is asked first: it can be given back. Charging the strict limits is the last step that can
// refuse; if it does, the soft ones are refunded. Between the two, others see less than there is,
// so more is refused, never admitted; so it is, too, if the refund is lost.
//
// Threads: the worker's.
#pragma once

#include "services/limits/named_checks.hpp"
#include "services/limits/service.hpp"
#include "services/limits/shared_part.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace redoubt::limits {

class SharedChecks {
 public:
  SharedChecks(local::LimitEngine& engine, record::Record& record, const Clock& clock,
               SharedTier shared, Metrics& metrics);

  // Otherwise limits are decided as if there were no shared tier.
  bool others() const { return shared_.others(); }

  // Empty while Redis is in use: then it is asked. REQUIRES: no strict limit is among them.
  std::optional<Result<LimitDecision>> check_now(const Context& context, const NamedChecks& named);
  // For all below, what is referred to lives until they are done.
  Task<LimitDecision> check(const Context& context, const Policies& policies,
                            std::span<const LimitCheck> checks);
  // Null: call check().
  std::unique_ptr<BegunCheck> begin(const Context& context, const Policies& policies,
                                    std::span<const LimitCheck> checks);
  Task<LimitDecision> peek(const Context& context, const NamedChecks& named);
  Task<LimitDecision> refund(const Context& context, const NamedChecks& named);
  Task<void> reset(const Context& context, const NamedChecks& named);

 private:
  class Begun;
  struct Soft {
    bool admitted = true;
    bool by_share = false;
    bool refused = false;  // Not decided: a limit says so.
  };

  Soft taken(const Result<shared::LimitsReply>& reply, SharedPart& part, const NamedChecks& named,
             Verdicts& verdicts) const;
  Soft taken_by_share(SharedPart& part, const NamedChecks& named, Verdicts& verdicts) const;
  Task<void> add_strict(const Context& context, SharedPart& part, const NamedChecks& named,
                        Verdicts& verdicts, Soft& soft);
  boost::asio::awaitable<Soft> peek_soft(std::string_view tenant, SharedPart& part,
                                         const NamedChecks& named, Verdicts& verdicts);
  boost::asio::awaitable<Soft> refund_soft(std::string_view tenant, SharedPart& part,
                                           const NamedChecks& named, Verdicts& verdicts);
  Task<void> look_at_strict(const Context& context, const NamedChecks& named, Verdicts& verdicts);
  Task<bool> charge_strict(const Context& context, const NamedChecks& named, Verdicts& verdicts);
  std::int64_t instances() const;
  // Counted, and told of.
  LimitDecision conclude(const Context& context, const NamedChecks& named, const Verdicts& verdicts,
                         const Soft& soft);
  LimitDecision decided(const Context& context, const NamedChecks& named, const Verdicts& verdicts,
                        const Soft& soft) const;
  // Some limit refuses to be decided without Redis; not when that is turned off.
  bool refuses(const NamedChecks& named) const;
  static Unexpected refused(const Context& context,
                            std::string why = "Redis cannot be asked, and a limit of this request is "
                                              "not to be decided without it; try again shortly.");

  local::LimitEngine& engine_;
  record::Record& record_;
  const Clock& clock_;
  const SharedTier shared_;
  Counter& by_share_;
};

}  // namespace redoubt::limits
