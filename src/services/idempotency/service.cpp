#include "services/idempotency/service.hpp"

#include "base/packed.hpp"
#include "record/answer_keeper.hpp"
#include "record/idempotency_rows.hpp"
#include "record/reach_keys.hpp"
#include "services/idempotency/sealed_answer.hpp"
#include "services/idempotency/under_way.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace redoubt::idempotency {
namespace {

using OptionalAnswer = std::optional<KeptAnswer>;
using OptionalRow = std::optional<record::AnswerRow>;

// What became of a request with a key: the label of a metric.
enum class Outcome : std::uint8_t { first, replayed, reused, in_progress, not_kept };
constexpr std::array<std::string_view, 5> kOutcomes{"first", "replayed", "reused", "in_progress",
                                                    "not_kept"};

Error key_taken() {
  return Error(Errc::conflict, "idempotency_key_taken",
               "Another request with this idempotency key was faster.");
}

Error in_progress() {
  Error error(Errc::conflict, "idempotency_in_progress",
              "A request with this idempotency key is being carried out; try again shortly to get "
              "its answer.");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

Error reused() {
  return Error(Errc::conflict, "idempotency_key_reused",
               "This idempotency key was used for another request: repeat that one exactly, or "
               "choose a new key.");
}

Error too_large() {
  return Error(Errc::payload_too_large, "idempotency_answer_too_large",
               "The answer is too large to be kept under an idempotency key; nothing was changed. "
               "Send the request without one.");
}

std::size_t size_of(const KeptAnswer& answer) {
  return answer.content_type.size() + answer.headers.size() + answer.body.size();
}

Id128 id_of(const Vault& vault, const Caller& caller, const KeyedRequest& request) {
  PackedWriter name;
  name.text(caller.tenant);
  name.text(caller.principal);
  name.text(request.operation);
  name.text(request.key);
  const Digest256 digest = vault.credential_hash("idempotency key")(name.out);
  Id128 id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

// Of one request. Its unit runs on the record's thread while the request waits for it.
class Keeper final : public record::AnswerKeeper {
 public:
  Keeper(const Parts& parts, Duration keep, const Caller& caller, const KeyedRequest& request)
      : parts_(parts),
        keep_(keep),
        tenant_(caller.tenant),
        request_(request),
        id_(id_of(parts.vault, caller, request)) {}

  const Id128& id() const { return id_; }

  std::string reach_key() const override { return record::reach::idempotency(id_); }

  Task<void> keep(record::Unit& unit, const std::type_info& type, const void* result) override {
    taken_ = false;  // The unit may run again.
    kept_ = false;
    const OptionalAnswer answer = request_.make(type, result);
    if (!answer) co_return fail(internal("a service and its operation disagree on what it yields"));
    RD_CO_CHECK(co_await put(unit, *answer));
    kept_ = true;
    co_return Result<void>{};
  }

  // In a unit of its own, when the effect is none or not in the record.
  Task<void> keep_alone(const KeptAnswer& answer) {
    std::function<Task<void>(record::Unit&)> work = [this, &answer](record::Unit& unit) {
      taken_ = false;
      return put(unit, answer);
    };
    record::Reach reach{tenant_, {reach_key()}};
    co_return co_await parts_.record.write_within(std::move(reach), std::move(work));
  }

  Task<OptionalRow> find(BootTime deadline) {
    const WallTime now = parts_.clock.wall();
    std::function<Task<OptionalRow>(sql::Transaction&)> look = [this, now](sql::Transaction& tx) {
      return record::find_answer(tx, id_, now);
    };
    record::Reach reach{tenant_, {}};
    reach.deadline = deadline;
    co_return co_await parts_.record.read_by<OptionalRow>(std::move(reach), std::move(look));
  }

  // Both as of the last time that the work ran; whether that was committed is another question.
  bool taken() const { return taken_; }
  bool kept() const { return kept_; }

 private:
  Task<void> put(record::Unit& unit, const KeptAnswer& answer) {
    if (size_of(answer) > kKeptAnswerMax) co_return fail(too_large());
    const WallTime now = parts_.clock.wall();
    record::AnswerRow row{id_, tenant_, now + keep_, {}};
    seal(parts_.vault, row, {request_.fingerprint, answer});
    RD_CO_TRY(inserted, co_await record::insert_answer(unit, row, now));
    if (inserted) co_return Result<void>{};
    taken_ = true;
    co_return fail(key_taken());
  }

  const Parts& parts_;
  const Duration keep_;
  const std::string& tenant_;
  const KeyedRequest& request_;
  const Id128 id_;
  bool taken_ = false;
  bool kept_ = false;
};

class IdempotencyService final : public Idempotency {
 public:
  IdempotencyService(const Parts& parts, Duration keep) : parts_(parts), keep_(keep) {
    for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
      outcomes_[i] = &parts.metrics.counter("redoubt_idempotency_requests_total",
                                            "Requests with an idempotency key, by what became of "
                                            "them.",
                                            {{"outcome", kOutcomes[i]}});
    }
  }

  Task<OptionalAnswer> once(const Context& context, const KeyedRequest& request, Run run) override {
    Keeper keeper(parts_, keep_, context.caller, request);
    const auto turn = under_way_.enter(keeper.id());
    if (!turn) {
      count(Outcome::in_progress);
      co_return fail(in_progress());
    }
    const BootTime deadline = request.urgent ? record::kNoDeadline : context.deadline;
    auto before = co_await answer_of(keeper, request, deadline);
    const bool unknown = !before && before.error().code == Errc::unavailable;
    if (!before && !(unknown && request.urgent)) co_return fail(std::move(before).error());
    if (before && *before) co_return before;

    Context own = context;
    own.keeper = &keeper;
    const OptionalAnswer answer = co_await run(own);
    if (keeper.taken()) co_return co_await answer_of(keeper, request);
    co_return co_await conclude(keeper, request, answer);
  }

 private:
  // `answer` was given; it is kept, unless it is already or may become another.
  Task<OptionalAnswer> conclude(Keeper& keeper, const KeyedRequest& request,
                                const OptionalAnswer& answer) {
    const OptionalAnswer none;
    if (!answer) co_return none;
    const bool committed = keeper.kept() && answer->status < 300;
    if (committed) {
      count(Outcome::first);
      co_return none;
    }
    const auto kept = co_await keeper.keep_alone(*answer);
    if (!kept && keeper.taken()) co_return co_await answer_of(keeper, request);
    if (kept) {
      count(Outcome::first);
    } else {
      count(Outcome::not_kept);
      parts_.log.warn("idempotency.answer_not_kept",
                      {{"operation", request.operation}, {"cause", kept.error().message}});
    }
    co_return none;
  }

  // The one that was kept, if there is one.
  Task<OptionalAnswer> answer_of(Keeper& keeper, const KeyedRequest& request,
                                 BootTime deadline = record::kNoDeadline) {
    OptionalAnswer answer;
    RD_CO_TRY(row, co_await keeper.find(deadline));
    if (!row) co_return answer;
    RD_CO_TRY(answered, open(parts_.vault, *row));
    if (answered.fingerprint != request.fingerprint) {
      count(Outcome::reused);
      co_return fail(reused());
    }
    count(Outcome::replayed);
    answer = std::move(answered.answer);
    co_return answer;
  }

  void count(Outcome outcome) { outcomes_[static_cast<std::size_t>(outcome)]->add(); }

  const Parts parts_;
  const Duration keep_;
  UnderWay under_way_;
  std::array<Counter*, kOutcomes.size()> outcomes_{};
};

}  // namespace

std::unique_ptr<Idempotency> make_idempotency(const Parts& parts, Duration keep) {
  return std::make_unique<IdempotencyService>(parts, keep);
}

}  // namespace redoubt::idempotency
