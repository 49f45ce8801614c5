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

std::optional<Result<LimitDecision>> SharedChecks::check_now(const Context& context,
                                                             const NamedChecks& named) {
  if (shared_.limits->usable()) return std::nullopt;
  if (refuses(named)) return Result<LimitDecision>(refused(context));
  SharedPart part(engine_, context.caller.tenant, named, shared_.off());
  Verdicts verdicts;
  Soft soft{.admitted = part.take(instances(), verdicts), .by_share = true};
  return conclude(context, named, verdicts, soft);
}

Task<LimitDecision> SharedChecks::check(const Context& context, const Policies& policies,
                                        std::span<const LimitCheck> checks) {
  NamedChecks named;
  RD_CO_CHECK(name_checks(policies, checks, named));
  const std::string_view tenant = context.caller.tenant;
  SharedPart part(engine_, tenant, named, shared_.off());
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  Soft soft;
  if (!named.soft.empty() && shared_.limits->usable()) {
    auto taking = shared_.limits->take(tenant, part.uses());
    const auto reply = co_await std::move(taking);
    soft = taken(reply, part, named, verdicts);
  } else if (!named.soft.empty()) {
    soft = taken_by_share(part, named, verdicts);
  }
  if (soft.refused) {
    count_failures(named);
    co_return refused(context);
  }
  if (!named.strict.empty()) {
    RD_CO_CHECK(co_await add_strict(context, part, named, verdicts, soft));
  }
  co_return conclude(context, named, verdicts, soft);
}

SharedChecks::Soft SharedChecks::taken(const Result<shared::LimitsReply>& reply, SharedPart& part,
                                       const NamedChecks& named, Verdicts& verdicts) const {
  if (!reply) return taken_by_share(part, named, verdicts);
  part.read(*reply, verdicts);
  return {.admitted = reply->charged, .by_share = false};
}

SharedChecks::Soft SharedChecks::taken_by_share(SharedPart& part, const NamedChecks& named,
                                                Verdicts& verdicts) const {
  if (refuses(named)) return {.admitted = false, .by_share = false, .refused = true};
  return {.admitted = part.take(instances(), verdicts), .by_share = true};
}

// What the strict limits say after the soft ones. Errors: those of the record; then nothing is
// charged.
Task<void> SharedChecks::add_strict(const Context& context, SharedPart& part,
                                    const NamedChecks& named, Verdicts& verdicts, Soft& soft) {
  if (!soft.admitted) co_return co_await look_at_strict(context, named, verdicts);
  const auto charged = co_await charge_strict(context, named, verdicts);
  if (!charged || !*charged) {
    const Soft back = co_await refund_soft(context.caller.tenant, part, named, verdicts);
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
  Begun(SharedChecks& all, const Context& context)
      : all_(all), context_(context), tenant_(context.caller.tenant) {}

  // Whether it has begun.
  bool begin(const Policies& policies, std::span<const LimitCheck> checks) {
    if (!name_checks(policies, checks, named_) || !named_.strict.empty()) return false;
    part_.emplace(all_.engine_, tenant_, named_, all_.shared_.off());
    const SharedPart::Uses uses = part_->uses();
    if (uses.empty() || !std::ranges::all_of(uses, shared::can_withdraw)) return false;
    sent_ = all_.shared_.limits->send_take(tenant_, uses);
    return true;
  }

  Task<LimitDecision> decision() override {
    const auto reply = co_await sent_->reply();
    Verdicts verdicts;
    verdicts.resize(named_.checks.size());
    const Soft soft = all_.taken(reply, *part_, named_, verdicts);
    if (soft.refused) {
      count_failures(named_);
      co_return refused(context_);
    }
    co_return all_.conclude(context_, named_, verdicts, soft);
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
  const Context& context_;
  const std::string_view tenant_;
  NamedChecks named_;
  std::optional<SharedPart> part_;
  std::unique_ptr<shared::SentTake> sent_;
};

std::unique_ptr<BegunCheck> SharedChecks::begin(const Context& context, const Policies& policies,
                                                std::span<const LimitCheck> checks) {
  if (!shared_.limits->usable()) return nullptr;
  auto begun = std::make_unique<Begun>(*this, context);
  if (!begun->begin(policies, checks)) return nullptr;
  return begun;
}

// ---- The others ----

Task<LimitDecision> SharedChecks::peek(const Context& context, const NamedChecks& named) {
  const std::string_view tenant = context.caller.tenant;
  SharedPart part(engine_, tenant, named, shared_.off());
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  if (!named.strict.empty()) {
    RD_CO_CHECK(co_await look_at_strict(context, named, verdicts));
  }
  const Soft soft = co_await peek_soft(tenant, part, named, verdicts);
  if (soft.refused) co_return refused(context);
  co_return decided(context, named, verdicts, soft);
}

Task<LimitDecision> SharedChecks::refund(const Context& context, const NamedChecks& named) {
  const std::string_view tenant = context.caller.tenant;
  SharedPart part(engine_, tenant, named, shared_.off());
  Verdicts verdicts;
  verdicts.resize(named.checks.size());
  if (!named.strict.empty()) {
    StrictPart strict(tenant, named);
    std::function<Task<void>(record::Unit&)> work = [&](record::Unit& unit) {
      return give_back(unit, clock_, strict, verdicts);
    };
    RD_CO_CHECK(co_await record_.write_within(record::with_deadline_of(context, strict.reach()),
                                              std::move(work)));
  }
  const Soft soft = co_await refund_soft(tenant, part, named, verdicts);
  if (soft.refused) co_return refused(context);
  co_return decided(context, named, verdicts, soft);
}

// Redis first: what is known here is what is charged while Redis is away.
Task<void> SharedChecks::reset(const Context& context, const NamedChecks& named) {
  const std::string_view tenant = context.caller.tenant;
  if (!shared_.off()) {
    if (!shared_.limits->usable()) {
      co_return refused(context, "Redis cannot be asked, and what it knows of the limit would count "
                                 "again when it can; try again shortly.");
    }
    SharedPart part(engine_, tenant, named, false);
    RD_CO_CHECK(co_await shared_.limits->reset(tenant, part.uses().front()));
  }
  engine_.reset(engine_.key(tenant, named.entries[0]->rule, named.checks[0].subject));
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
  if (refuses(named)) co_return Soft{.admitted = false, .by_share = false, .refused = true};
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

Task<void> SharedChecks::look_at_strict(const Context& context, const NamedChecks& named,
                                        Verdicts& verdicts) {
  StrictPart strict(context.caller.tenant, named);
  std::function<Task<void>(sql::Transaction&)> job = [&](sql::Transaction& tx) {
    return look(tx, clock_, strict, verdicts);
  };
  RD_CO_CHECK(co_await record_.read_within(record::reads_of(context), std::move(job)));
  co_return Result<void>{};
}

Task<bool> SharedChecks::charge_strict(const Context& context, const NamedChecks& named,
                                       Verdicts& verdicts) {
  StrictPart strict(context.caller.tenant, named);
  bool admitted = false;
  std::function<Task<void>(record::Unit&)> work = [&](record::Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await strict.load(unit, clock_));
    admitted = strict.admits(verdicts);
    if (admitted) strict.charge(verdicts);
    RD_CO_CHECK(co_await strict.store(unit));
    co_return Result<void>{};
  };
  RD_CO_CHECK(co_await record_.write_within(record::with_deadline_of(context, strict.reach()),
                                            std::move(work)));
  co_return admitted;
}

LimitDecision SharedChecks::conclude(const Context& context, const NamedChecks& named,
                                     const Verdicts& verdicts, const Soft& soft) {
  count_verdicts(named, verdicts);
  if (soft.by_share) by_share_.add();
  return decided(context, named, verdicts, soft);
}

LimitDecision SharedChecks::decided(const Context& context, const NamedChecks& named,
                                    const Verdicts& verdicts, const Soft& soft) const {
  LimitDecision decision = decision_of(named, verdicts);
  decision.degraded = soft.by_share && !shared_.off();
  if (!decision.degraded) return decision;
  for (const std::uint8_t i : named.soft) {
    const bool open = named.entries[i]->policy->without_redis == WithoutRedis::open;
    context.note(open ? Downgrade::limits_open : Downgrade::limits_share);
  }
  return decision;
}

bool SharedChecks::refuses(const NamedChecks& named) const {
  if (shared_.off()) return false;
  return std::ranges::any_of(named.soft, [&named](std::uint8_t i) {
    return named.entries[i]->policy->without_redis == WithoutRedis::refuse;
  });
}

Unexpected SharedChecks::refused(const Context& context, std::string why) {
  context.note(Downgrade::limits_refused);
  Error error = unavailable("limits_unavailable", std::move(why));
  error.retry_after = std::chrono::seconds(1);
  return fail(std::move(error));
}

}  // namespace redoubt::limits
