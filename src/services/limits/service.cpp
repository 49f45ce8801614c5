#include "services/limits/service.hpp"

#include "record/limit_rows.hpp"
#include "services/limits/named_checks.hpp"
#include "services/limits/policies.hpp"
#include "services/limits/shared_checks.hpp"
#include "services/limits/strict_part.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <utility>

namespace redoubt::limits {
namespace {

constexpr Duration kSweepGrace{std::chrono::hours{24}};

using StrictWork = std::function<Task<void>(record::Unit&)>;
using StrictLook = std::function<Task<void>(sql::Transaction&)>;

// All or nothing across two kinds of memory. May run a second time, when the engine could not
// commit the first. The order makes the irrevocable step the last one that
// can refuse:
//   1. read the strict limits, in the transaction that would charge them; if one refuses, nothing
//      has been charged;
//   2. charge the soft ones, all or none; if they refuse, the strict ones are left as they are;
//   3. write the strict ones and commit. Only if that fails has something been charged that must
//   not
//      be: the caller of this gives the soft ones back. Between 2 and that, others see less
//      than there is, so more is refused, never admitted.
Task<void> decide(record::Unit& unit, const Clock& clock, SoftPart& soft, StrictPart& strict,
                  Verdicts& verdicts, bool& soft_charged) {
  if (std::exchange(soft_charged, false)) soft.refund(verdicts);  // Of an attempt that was undone.
  RD_CO_CHECK(co_await strict.load(unit, clock));
  if (strict.admits(verdicts)) {
    soft_charged = soft.take(verdicts);
    if (soft_charged) strict.charge(verdicts);
  } else {
    soft.peek(verdicts);
  }
  RD_CO_CHECK(co_await strict.store(unit));
  co_return Result<void>{};
}

constexpr std::size_t kGenerationsKept = 3;

class LimitService final : public Limits {
 public:
  LimitService(local::LimitEngine& engine, record::Record& record, const Clock& clock,
               std::vector<LimitPolicy> policies, Metrics& metrics, SharedTier shared)
      : engine_(engine), record_(record), clock_(clock), metrics_(metrics) {
    policies_ = &generations_.emplace_back(std::move(policies), metrics_);
    if (shared.limits != nullptr)
      shared_.emplace(engine, record, clock, std::move(shared), metrics);
  }

  std::optional<Result<LimitDecision>> check_now(const Context& context,
                                                 std::span<const LimitCheck> checks) override {
    NamedChecks named;
    auto ok = name_checks(*policies_, checks, named);
    if (!ok) return Result<LimitDecision>(fail(std::move(ok).error()));
    if (!named.strict.empty()) return std::nullopt;
    if (SharedChecks* there = shared()) return there->check_now(context, named);
    return check_soft(context, named);
  }

  Task<LimitDecision> check(const Context& context, std::span<const LimitCheck> checks) override {
    SharedChecks* const there = shared();
    return there ? there->check(context, *policies_, checks) : check_here(context, checks);
  }

  std::unique_ptr<BegunCheck> begin(const Context& context,
                                    std::span<const LimitCheck> checks) override {
    SharedChecks* const there = shared();
    return there ? there->begin(context, *policies_, checks) : nullptr;
  }

  Task<LimitDecision> check_here(const Context& context, std::span<const LimitCheck> checks) {
    NamedChecks named;
    RD_CO_CHECK(name_checks(*policies_, checks, named));
    if (named.strict.empty()) co_return check_soft(context, named);
    SoftPart soft(engine_, context.caller.tenant, named);
    StrictPart strict(context.caller.tenant, named);
    Verdicts verdicts;
    bool soft_charged = false;
    StrictWork work = [&](record::Unit& unit) {
      return decide(unit, clock_, soft, strict, verdicts, soft_charged);
    };
    auto done = co_await record_.write_within(record::with_deadline_of(context, strict.reach()),
                                              std::move(work));
    if (!done) {
      if (soft_charged) soft.refund(verdicts);
      count_failures(named);
      co_return fail(std::move(done).error());
    }
    count_verdicts(named, verdicts);
    co_return decision_of(named, verdicts);
  }

  Task<LimitDecision> peek(const Context& context, std::span<const LimitCheck> checks) override {
    NamedChecks named;
    RD_CO_CHECK(name_checks(*policies_, checks, named));
    if (SharedChecks* there = shared()) co_return co_await there->peek(context, named);
    Verdicts verdicts;
    if (!named.strict.empty()) {
      StrictPart strict(context.caller.tenant, named);
      StrictLook job = [&](sql::Transaction& tx) { return look(tx, clock_, strict, verdicts); };
      RD_CO_CHECK(co_await record_.read_within(record::reads_of(context), std::move(job)));
    }
    SoftPart(engine_, context.caller.tenant, named).peek(verdicts);
    co_return decision_of(named, verdicts);
  }

  Task<LimitDecision> refund(const Context& context, std::span<const LimitCheck> checks) override {
    NamedChecks named;
    RD_CO_CHECK(name_checks(*policies_, checks, named));
    if (SharedChecks* there = shared()) co_return co_await there->refund(context, named);
    Verdicts verdicts;
    if (!named.strict.empty()) {
      StrictPart strict(context.caller.tenant, named);
      StrictWork work = [&](record::Unit& unit) {
        return give_back(unit, clock_, strict, verdicts);
      };
      // First, because it can fail; then nothing was given back.
      RD_CO_CHECK(co_await record_.write_within(record::with_deadline_of(context, strict.reach()),
                                                std::move(work)));
    }
    SoftPart(engine_, context.caller.tenant, named).refund(verdicts);
    co_return decision_of(named, verdicts);
  }

  Task<void> reset(const Context& context, std::string policy, std::string subject) override {
    const LimitCheck check{.policy = policy, .subject = subject};
    NamedChecks named;
    auto ok = name_checks(*policies_, {&check, 1}, named);
    if (!ok) co_return fail(as_of_reset(std::move(ok).error()));
    if (named.strict.empty()) {
      if (SharedChecks* there = shared()) {
        co_return co_await there->reset(context, named);
      }
      engine_.reset(engine_.key(context.caller.tenant, named.entries[0]->rule, subject));
      co_return Result<void>{};
    }
    const record::LimitId id{context.caller.tenant, policy, subject};
    StrictWork work = [&id](record::Unit& unit) { return record::erase_limit(unit, id); };
    const StrictPart strict(context.caller.tenant, named);
    RD_CO_CHECK(co_await record_.write_within(strict.reach(), std::move(work)));
    co_return Result<void>{};
  }

  const LimitPolicy* find_policy(std::string_view name) const override {
    const Policies::Entry* entry = policies_->find(name);
    return entry ? entry->policy : nullptr;
  }

  std::span<const LimitPolicy> policies() const override { return policies_->all(); }

  Result<void> replace_policies(std::vector<LimitPolicy> policies) override {
    RD_CHECK(validate_policies(policies));
    policies_ = &generations_.emplace_back(std::move(policies), metrics_);
    while (generations_.size() > kGenerationsKept) generations_.pop_front();
    return {};
  }

 private:
  // Null: nobody else enforces them.
  SharedChecks* shared() { return shared_ && shared_->others() ? &*shared_ : nullptr; }

  Result<LimitDecision> check_soft(const Context& context, const NamedChecks& named) {
    Verdicts verdicts;
    SoftPart(engine_, context.caller.tenant, named).take(verdicts);
    count_verdicts(named, verdicts);
    return decision_of(named, verdicts);
  }

  // A reset names its limit without a list around it.
  static Error as_of_reset(Error error) {
    for (FieldError& field : error.fields) {
      const std::string name = field.location.substr(field.location.rfind('.') + 1);
      error.message = invalid_argument("body." + name, field.detail, field.code).message;
      field.location = "body." + name;
      field.pointer = "/" + name;
    }
    return error;
  }

  local::LimitEngine& engine_;
  record::Record& record_;
  const Clock& clock_;
  Metrics& metrics_;
  std::deque<Policies> generations_;  // The last is in use; checks under way may use the others.
  const Policies* policies_ = nullptr;
  std::optional<SharedChecks> shared_;
};

}  // namespace

Result<std::unique_ptr<Limits>> make_limits(local::LimitEngine& engine, record::Record& record,
                                            const Clock& clock, std::vector<LimitPolicy> policies,
                                            Metrics& metrics, SharedTier shared) {
  RD_CHECK(validate_policies(policies));
  return std::make_unique<LimitService>(engine, record, clock, std::move(policies), metrics,
                                        std::move(shared));
}

Task<std::int64_t> sweep_strict_limits(record::Record& record, const Clock& clock,
                                       std::size_t batch) {
  const WallTime before = clock.wall() - kSweepGrace;
  std::function<Task<std::int64_t>(record::Unit&)> work = [before, batch](record::Unit& unit) {
    return record::sweep_limits(unit, before, batch);
  };
  RD_CO_TRY(deleted, co_await record.write<std::int64_t>(std::move(work)));
  co_return deleted;
}

}  // namespace redoubt::limits
