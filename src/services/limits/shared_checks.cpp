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

std::optional<Result<LimitDecision>> SharedChecks::check_now(std::string_view tenant,
                                                             const NamedChecks& named) {
  if (shared_.limits->usable()) return std::nullopt;
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  Soft soft{.admitted = part.take(instances(), verdicts), .by_share = true};
  return conclude(named, verdicts, soft);
}

Task<LimitDecision> SharedChecks::check(std::string_view tenant, const Policies& policies,
                                        std::span<const LimitCheck> checks) {
  NamedChecks named;
  RD_CO_CHECK(name_checks(policies, checks, named));
  SharedPart part(engine_, tenant, named);
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  Soft soft;
  if (!named.soft.empty() && shared_.limits->usable()) {
    auto taking = shared_.limits->take(tenant, part.uses());
    const auto reply = co_await std::move(taking);
    soft = taken(reply, part, verdicts);
  } else if (!named.soft.empty()) {
    soft = taken_by_share(part, verdicts);
  }
  if (!named.strict.empty()) {
    RD_CO_CHECK(co_await add_strict(tenant, part, named, verdicts, soft));
  }
  co_return conclude(named, verdicts, soft);
}

SharedChecks::Soft SharedChecks::taken(const Result<shared::LimitsReply>& reply, SharedPart& part,
                                       Verdicts& verdicts) const {
  if (!reply) return taken_by_share(part, verdicts);
  part.read(*reply, verdicts);
  return {.admitted = reply->charged, .by_share = false};
}

SharedChecks::Soft SharedChecks::taken_by_share(SharedPart& part, Verdicts& verdicts) const {
  return {.admitted = part.take(instances(), verdicts), .by_share = true};
}

// What the strict limits say after the soft ones. Errors: those of the record; then nothing is
// charged.
Task<void> SharedChecks::add_strict(std::string_view tenant, SharedPart& part,
                                    const NamedChecks& named, Verdicts& verdicts, Soft& soft) {
  if (!soft.admitted) co_return co_await look_at_strict(tenant, named, verdicts);
  const auto charged = co_await charge_strict(tenant, named, verdicts);
  if (!charged || !*charged) {
    const Soft back = co_await refund_soft(tenant, part, named, verdicts);
    soft.by_share = soft.by_share || back.by_share;
  }
  if (!charged) {
    count_failures(named);
    co_return fail(charged.error());
  }
  co_return Result<void>{};
}

// ---- Begun early ----

// Of soft limits alone that can all be withdrawn.
class SharedChecks::Begun final : public BegunCheck {
 public:
  Begun(SharedChecks& all, std::string_view tenant) : all_(all), tenant_(tenant) {}

  // Whether it has begun.
  bool begin(const Policies& policies, std::span<const LimitCheck> checks) {
    if (!name_checks(policies, checks, named_) || !named_.strict.empty()) return false;
    part_.emplace(all_.engine_, tenant_, named_);
    const SharedPart::Uses uses = part_->uses();
    if (uses.empty() || !std::ranges::all_of(uses, shared::can_withdraw)) return false;
    sent_ = all_.shared_.limits->send_take(tenant_, uses);
    return true;
  }

  Task<LimitDecision> decision() override {
    const auto reply = co_await sent_->reply();
    Verdicts verdicts;
    verdicts.resize(named_.checks.size());
    const Soft soft = all_.taken(reply, *part_, verdicts);
    co_return all_.conclude(named_, verdicts, soft);
  }

  asio::awaitable<void> withdraw() override {
    const auto reply = co_await sent_->reply();
    if (!reply || !reply->charged) co_return;
    auto withdrawing = all_.shared_.limits->withdraw(tenant_, part_->uses(), *reply);
    const auto back = co_await std::move(withdrawing);
    Verdicts verdicts;
    if (back) part_->read(*back, verdicts);
  }

 private:
  SharedChecks& all_;
  const std::string_view tenant_;
  NamedChecks named_;
  std::optional<SharedPart> part_;
  std::unique_ptr<shared::SentTake> sent_;
};

std::unique_ptr<BegunCheck> SharedChecks::begin(std::string_view tenant, const Policies& policies,
                                                std::span<const LimitCheck> checks) {
  if (!shared_.limits->usable()) return nullptr;
  auto begun = std::make_unique<Begun>(*this, tenant);
  if (!begun->begin(policies, checks)) return nullptr;
  return begun;
}

// ---- The others ----

Task<LimitDecision> SharedChecks::peek(std::string_view tenant, const NamedChecks& named) {
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

Task<LimitDecision> SharedChecks::refund(std::string_view tenant, const NamedChecks& named) {
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

Task<void> SharedChecks::reset(std::string_view tenant, const NamedChecks& named) {
  SharedPart part(engine_, tenant, named);
  const shared::LimitUse use = part.uses().front();
  engine_.reset(engine_.key(tenant, named.entries[0]->rule, named.checks[0].subject));
  RD_CO_CHECK(co_await shared_.limits->reset(tenant, use));
  co_return Result<void>{};
}

std::int64_t SharedChecks::instances() const {
  return std::max<std::int64_t>(shared_.instances(), 1);
}

asio::awaitable<SharedChecks::Soft> SharedChecks::peek_soft(std::string_view tenant,
                                                            SharedPart& part,
                                                            const NamedChecks& named,
                                                            Verdicts& verdicts) {
  if (named.soft.empty()) co_return Soft{};
  if (shared_.limits->usable()) {
    auto peeking = shared_.limits->peek(tenant, part.uses());
    const auto reply = co_await std::move(peeking);
    if (reply) {
      part.read(*reply, verdicts);
      co_return Soft{};
    }
  }
  const bool admits = part.peek(instances(), verdicts);
  co_return Soft{.admitted = admits, .by_share = true};
}

asio::awaitable<SharedChecks::Soft> SharedChecks::refund_soft(std::string_view tenant,
                                                              SharedPart& part,
                                                              const NamedChecks& named,
                                                              Verdicts& verdicts) {
  if (named.soft.empty()) co_return Soft{};
  if (shared_.limits->usable()) {
    auto refunding = shared_.limits->refund(tenant, part.uses());
    const auto reply = co_await std::move(refunding);
    if (reply) {
      part.read(*reply, verdicts);
      co_return Soft{};
    }
  }
  part.refund(instances(), verdicts);
  co_return Soft{.admitted = true, .by_share = true};
}

Task<void> SharedChecks::look_at_strict(std::string_view tenant, const NamedChecks& named,
                                        Verdicts& verdicts) {
  StrictPart strict(tenant, named);
  std::function<Task<void>(sql::Transaction&)> job = [&](sql::Transaction& tx) {
    return look(tx, clock_, strict, verdicts);
  };
  std::string owned(tenant);
  RD_CO_CHECK(co_await record_.read_tenant(std::move(owned), std::move(job)));
  co_return Result<void>{};
}

Task<bool> SharedChecks::charge_strict(std::string_view tenant, const NamedChecks& named,
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
