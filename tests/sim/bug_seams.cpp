#include "tests/sim/bug_seams.hpp"

#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace redoubt::sim {
namespace {

namespace asio = boost::asio;

// Also what a record is without a bug: everything else that is asked of it passes through.
class FaultyRecord final : public record::Record {
 public:
  FaultyRecord(record::Record& record, Bug bug) : record_(record), bug_(bug) {}

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    bool worked = false;
    std::function<Task<void>(record::Unit&)> noting = [&](record::Unit& unit) -> Task<void> {
      auto outcome = co_await work(unit);
      worked = outcome.has_value();
      co_return outcome;
    };
    auto done = co_await record_.write_unit(std::move(noting));
    const bool unknown = !done && done.error().slug == "record_outcome_unknown";
    if (bug_ == Bug::unknown_is_done && unknown && worked) co_return Result<void>{};
    co_return done;
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return record_.read_snapshot(std::move(work));
  }
  void subscribe(record::JournalListener listener) override {
    record_.subscribe(std::move(listener));
  }
  bool when_announced(std::function<void()> listener) override {
    return record_.when_announced(std::move(listener));
  }
  void hurry() override { record_.hurry(); }
  BootTime fresh_until() const override {
    if (bug_ == Bug::freshness_unchecked) return BootTime{std::numeric_limits<std::int64_t>::max()};
    return record_.fresh_until();
  }
  bool cut_off() const override { return bug_ == Bug::grace_in_reach || record_.cut_off(); }
  Task<void> wait_for_all() override { return record_.wait_for_all(); }
  record::Status status() const override {
    record::Status status = record_.status();
    if (bug_ == Bug::share_is_limit) status.instances = 1;
    return status;
  }
  void stop() override { record_.stop(); }

 private:
  record::Record& record_;
  const Bug bug_;
};

// Sends what has no answer once more, whatever it is.
class ImpatientClient final : public redis::Client {
 public:
  explicit ImpatientClient(std::unique_ptr<redis::Client> client) : client_(std::move(client)) {}

  Task<void> connected(Duration limit) override { return client_->connected(limit); }
  Task<redis::Value> run(redis::Command command) override {
    redis::Command again = command;
    auto done = co_await client_->run(std::move(command));
    const bool unknown = !done && done.error().slug == "redis_unknown_outcome";
    if (unknown) co_return co_await client_->run(std::move(again));
    co_return done;
  }
  asio::awaitable<std::vector<Result<redis::Value>>> run_all(
      std::vector<redis::Command> commands) override {
    return client_->run_all(std::move(commands));
  }
  Task<std::vector<redis::Value>> transaction(std::vector<redis::Command> commands) override {
    return client_->transaction(std::move(commands));
  }
  Task<redis::Value> script(const redis::Script& script, std::span<const std::string_view> keys,
                            std::span<const std::string_view> arguments) override {
    return client_->script(script, keys, arguments);
  }
  Task<redis::Value> probe(redis::Command command) override {
    return client_->probe(std::move(command));
  }
  Result<std::unique_ptr<redis::Subscription>> subscribe(
      redis::SubscribeRequest request, redis::SubscriptionHandler& handler) override {
    return client_->subscribe(std::move(request), handler);
  }
  redis::ClientStatus status() const override { return client_->status(); }
  void stop() override { client_->stop(); }

 private:
  std::unique_ptr<redis::Client> client_;
};

// The generation never moves on from the first.
class StuckLedger final : public shared::Ledger {
 public:
  explicit StuckLedger(std::unique_ptr<shared::Ledger> ledger) : ledger_(std::move(ledger)) {}

  Task<std::string> identity() override { return ledger_->identity(); }
  Task<shared::Page> read() override {
    RD_CO_TRY(page, co_await ledger_->read());
    hide(page.incarnation);
    co_return page;
  }
  Task<bool> replace(std::int64_t revision, shared::Incarnation next) override {
    hide(next);
    return ledger_->replace(revision, std::move(next));
  }

 private:
  static void hide(shared::Incarnation& incarnation) {
    if (incarnation.generation > 1) incarnation.generation = 1;
  }
  std::unique_ptr<shared::Ledger> ledger_;
};

// Tells Redis of no debt.
class ForgetfulLimits final : public shared::SharedLimits {
 public:
  explicit ForgetfulLimits(std::unique_ptr<shared::SharedLimits> limits)
      : limits_(std::move(limits)) {}

  bool usable() const override { return limits_->usable(); }
  Task<shared::LimitsReply> take(std::string_view tenant,
                                 std::span<const shared::LimitUse> uses) override {
    return limits_->take(tenant, forgetting(uses));
  }
  Task<shared::LimitsReply> peek(std::string_view tenant,
                                 std::span<const shared::LimitUse> uses) override {
    return limits_->peek(tenant, uses);
  }
  Task<shared::LimitsReply> refund(std::string_view tenant,
                                   std::span<const shared::LimitUse> uses) override {
    return limits_->refund(tenant, uses);
  }
  Task<void> reset(std::string_view tenant, const shared::LimitUse& use) override {
    return limits_->reset(tenant, use);
  }
  std::unique_ptr<shared::SentTake> send_take(std::string_view tenant,
                                              std::span<const shared::LimitUse> uses) override {
    return limits_->send_take(tenant, forgetting(uses));
  }
  Task<shared::LimitsReply> withdraw(std::string_view tenant,
                                     std::span<const shared::LimitUse> uses,
                                     const shared::LimitsReply& taken) override {
    return limits_->withdraw(tenant, uses, taken);
  }

 private:
  std::span<const shared::LimitUse> forgetting(std::span<const shared::LimitUse> uses) {
    uses_.assign(uses.begin(), uses.end());
    for (shared::LimitUse& use : uses_) use.debt_us = 0;
    return uses_;
  }
  std::unique_ptr<shared::SharedLimits> limits_;
  std::vector<shared::LimitUse> uses_;
};

// One name for a key, whoever's it is.
class MixingCopies final : public shared::Copies {
 public:
  explicit MixingCopies(std::unique_ptr<shared::Copies> copies) : copies_(std::move(copies)) {}

  asio::awaitable<std::optional<shared::Copy>> get(shared::CopyName name,
                                                      shared::View view) override {
    return copies_->get(mixed(name), view);
  }
  asio::awaitable<std::vector<std::optional<shared::Copy>>> get_all(
      std::vector<shared::CopyName> names) override {
    for (shared::CopyName& name : names) name = mixed(name);
    return copies_->get_all(std::move(names));
  }
  asio::awaitable<shared::Stored> put(shared::CopyName name, shared::Copy copy,
                                      Duration life) override {
    return copies_->put(mixed(name), std::move(copy), life);
  }
  asio::awaitable<shared::Stored> put_if_newer(shared::CopyName name, shared::Copy copy,
                                               Duration life) override {
    return copies_->put_if_newer(mixed(name), std::move(copy), life);
  }
  asio::awaitable<shared::Stored> bury(shared::CopyName name, Duration life) override {
    return copies_->bury(mixed(name), life);
  }

 private:
  static shared::CopyName mixed(shared::CopyName name) {
    if (name.noun == shared::Noun::cache) name.tenant = "everybody";
    return name;
  }
  std::unique_ptr<shared::Copies> copies_;
};

}  // namespace

std::unique_ptr<record::Record> with_bug(record::Record& record, Bug bug) {
  return std::make_unique<FaultyRecord>(record, bug);
}

std::unique_ptr<redis::Client> with_bug(std::unique_ptr<redis::Client> client, Bug bug) {
  if (bug != Bug::retries_unknown) return client;
  return std::make_unique<ImpatientClient>(std::move(client));
}

std::unique_ptr<shared::Ledger> with_bug(std::unique_ptr<shared::Ledger> ledger, Bug bug) {
  if (bug != Bug::generation_kept) return ledger;
  return std::make_unique<StuckLedger>(std::move(ledger));
}

std::unique_ptr<shared::SharedLimits> with_bug(std::unique_ptr<shared::SharedLimits> limits,
                                               Bug bug) {
  if (bug != Bug::shadow_forgotten) return limits;
  return std::make_unique<ForgetfulLimits>(std::move(limits));
}

std::unique_ptr<shared::Copies> with_bug(std::unique_ptr<shared::Copies> copies, Bug bug) {
  if (bug != Bug::tenants_mixed) return copies;
  return std::make_unique<MixingCopies>(std::move(copies));
}

}  // namespace redoubt::sim
