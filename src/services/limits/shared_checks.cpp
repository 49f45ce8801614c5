#include "services/limits/shared_checks.hpp"

#include "services/limits/strict_part.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::limits {

namespace asio = boost::asio;

SharedChecks::SharedChecks(local::LimitEngine& engine, record::Record& record, const Clock& clock,
                           SharedTier shared, Metrics& metrics)
    : engine_(engine),
      record_(record),
      clock_(clock),
      shared_(std::move(shared)),
      by_share_(metrics.counter("redoubt_ratelimit_by_share_total",
                                "Checks decided by this instance's share of the limits, because "
                                "Redis could not be asked.")) {}

std::optional<Result<LimitDecision>> SharedChecks::check_now(const std::string& tenant,
                                                             const NamedChecks& named) {
  if (shared_.limits->usable()) return std::nullopt;
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  Soft soft{.admitted = part.take(instances(), verdicts), .by_share = true};
  return conclude(named, verdicts, soft);
}

Task<LimitDecision> SharedChecks::check(std::string tenant, const NamedChecks& named) {
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  Soft soft = co_await take_soft(tenant, part, named, verdicts);
  if (named.strict.empty()) co_return conclude(named, verdicts, soft);
  if (!soft.admitted) {
    RD_CO_CHECK(co_await look_at_strict(tenant, named, verdicts));
    co_return conclude(named, verdicts, soft);
  }
  const auto charged = co_await charge_strict(tenant, named, verdicts);
  if (!charged || !*charged) {
    const Soft back = co_await refund_soft(tenant, part, named, verdicts);
    soft.by_share = soft.by_share || back.by_share;
  }
  if (!charged) {
    count_failures(named);
    co_return fail(charged.error());
  }
  co_return conclude(named, verdicts, soft);
}

Task<LimitDecision> SharedChecks::peek(std::string tenant, const NamedChecks& named) {
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  if (!named.strict.empty()) {
    RD_CO_CHECK(co_await look_at_strict(tenant, named, verdicts));
  }
  const Soft soft = co_await peek_soft(tenant, part, named, verdicts);
  LimitDecision decision = decision_of(named, verdicts);
  decision.degraded = soft.by_share;
  co_return decision;
}

Task<LimitDecision> SharedChecks::refund(std::string tenant, const NamedChecks& named) {
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  if (!named.strict.empty()) {
    StrictPart strict(tenant, named);
    std::function<Task<void>(record::Unit&)> work = [&](record::Unit& unit) {
      return give_back(unit, clock_, strict, verdicts);
    };
    RD_CO_CHECK(co_await record_.write_within(strict.reach(), std::move(work)));
  }
  const Soft soft = co_await refund_soft(tenant, part, named, verdicts);
  LimitDecision decision = decision_of(named, verdicts);
  decision.degraded = soft.by_share;
  co_return decision;
}

Task<void> SharedChecks::reset(std::string tenant, const NamedChecks& named) {
  SharedPart part(engine_, tenant, named);
  shared::LimitUse use = part.uses().front();
  engine_.reset(engine_.key(tenant, named.entries[0]->rule, named.checks[0].subject));
  RD_CO_CHECK(co_await shared_.limits->reset(tenant, std::move(use)));
  co_return Result<void>{};
}

std::int64_t SharedChecks::instances() const {
  return std::max<std::int64_t>(shared_.instances(), 1);
}

asio::awaitable<SharedChecks::Soft> SharedChecks::take_soft(const std::string& tenant,
                                                            SharedPart& part,
                                                            const NamedChecks& named,
                                                            Verdicts& verdicts) {
  if (named.soft.empty()) co_return Soft{};
  if (shared_.limits->usable()) {
    const auto reply = co_await shared_.limits->take(tenant, part.uses());
    if (reply) {
      part.read(*reply, verdicts);
      co_return Soft{.admitted = reply->charged, .by_share = false};
    }
  }
  const bool admitted = part.take(instances(), verdicts);
  co_return Soft{.admitted = admitted, .by_share = true};
}

asio::awaitable<SharedChecks::Soft> SharedChecks::peek_soft(const std::string& tenant,
                                                            SharedPart& part,
                                                            const NamedChecks& named,
                                                            Verdicts& verdicts) {
  if (named.soft.empty()) co_return Soft{};
  if (shared_.limits->usable()) {
    const auto reply = co_await shared_.limits->peek(tenant, part.uses());
    if (reply) {
      part.read(*reply, verdicts);
      co_return Soft{};
    }
  }
  const bool admits = part.peek(instances(), verdicts);
  co_return Soft{.admitted = admits, .by_share = true};
}

asio::awaitable<SharedChecks::Soft> SharedChecks::refund_soft(const std::string& tenant,
                                                              SharedPart& part,
                                                              const NamedChecks& named,
                                                              Verdicts& verdicts) {
  if (named.soft.empty()) co_return Soft{};
  if (shared_.limits->usable()) {
    const auto reply = co_await shared_.limits->refund(tenant, part.uses());
    if (reply) {
      part.read(*reply, verdicts);
      co_return Soft{};
    }
  }
  part.refund(instances(), verdicts);
  co_return Soft{.admitted = true, .by_share = true};
}

Task<void> SharedChecks::look_at_strict(const std::string& tenant, const NamedChecks& named,
                                        Verdicts& verdicts) {
  StrictPart strict(tenant, named);
  std::function<Task<void>(sql::Transaction&)> job = [&](sql::Transaction& tx) {
    return look(tx, clock_, strict, verdicts);
  };
  RD_CO_CHECK(co_await record_.read_tenant(tenant, std::move(job)));
  co_return Result<void>{};
}

Task<bool> SharedChecks::charge_strict(const std::string& tenant, const NamedChecks& named,
                                       Verdicts& verdicts) {
  StrictPart strict(tenant, named);
  bool admitted = false;
  std::function<Task<void>(record::Unit&)> work = [&](record::Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await strict.load(unit, clock_));
    admitted = strict.admits(verdicts);
    if (admitted) strict.charge(verdicts);
    RD_CO_CHECK(co_await strict.store(unit));
    co_return Result<void>{};
  };
  RD_CO_CHECK(co_await record_.write_within(strict.reach(), std::move(work)));
  co_return admitted;
}

LimitDecision SharedChecks::conclude(const NamedChecks& named, const Verdicts& verdicts,
                                     const Soft& soft) {
  count_verdicts(named, verdicts);
  if (soft.by_share) by_share_.add();
  LimitDecision decision = decision_of(named, verdicts);
  decision.degraded = soft.by_share;
  return decision;
}

}  // namespace redoubt::limits
