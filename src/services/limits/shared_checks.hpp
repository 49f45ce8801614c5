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

#include <optional>
#include <string>

namespace redoubt::limits {

class SharedChecks {
 public:
  SharedChecks(local::LimitEngine& engine, record::Record& record, const Clock& clock,
               SharedTier shared, Metrics& metrics);

  // Empty while Redis is in use: then it is asked. REQUIRES: no strict limit is among them.
  std::optional<Result<LimitDecision>> check_now(const std::string& tenant,
                                                 const NamedChecks& named);
  // For all below, `named` lives until they are done.
  Task<LimitDecision> check(std::string tenant, const NamedChecks& named);
  Task<LimitDecision> peek(std::string tenant, const NamedChecks& named);
  Task<LimitDecision> refund(std::string tenant, const NamedChecks& named);
  Task<void> reset(std::string tenant, const NamedChecks& named);

 private:
  struct Soft {
    bool admitted = true;
    bool by_share = false;
  };

  bool ask(const SharedPart& part) const;
  boost::asio::awaitable<Soft> take_soft(const std::string& tenant, SharedPart& part,
                                         const NamedChecks& named, Verdicts& verdicts);
  boost::asio::awaitable<Soft> peek_soft(const std::string& tenant, SharedPart& part,
                                         const NamedChecks& named, Verdicts& verdicts);
  boost::asio::awaitable<Soft> refund_soft(const std::string& tenant, SharedPart& part,
                                           const NamedChecks& named, Verdicts& verdicts);
  Task<void> look_at_strict(const std::string& tenant, const NamedChecks& named,
                            Verdicts& verdicts);
  Task<bool> charge_strict(const std::string& tenant, const NamedChecks& named, Verdicts& verdicts);
  std::int64_t instances() const;
  LimitDecision conclude(const NamedChecks& named, const Verdicts& verdicts, const Soft& soft);

  local::LimitEngine& engine_;
  record::Record& record_;
  const Clock& clock_;
  const SharedTier shared_;
  Counter& by_share_;
};

}  // namespace redoubt::limits
