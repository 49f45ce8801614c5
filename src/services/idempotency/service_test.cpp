#include "services/idempotency/service.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "record/answer_keeper.hpp"
#include "record/idempotency_rows.hpp"
#include "services/idempotency/sealed_answer.hpp"
#include "tests/support/context.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/refusing_record.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::idempotency {
namespace {

using namespace std::chrono_literals;

using MaybeAnswer = std::optional<KeptAnswer>;

constexpr sql::Statement kEffect{
    "INSERT INTO rd_meta (name, number) VALUES ('test.effect', 1)"
    " ON CONFLICT (name) DO UPDATE SET number = rd_meta.number + 1"};
constexpr sql::Statement kEffects{
    "SELECT coalesce(max(number), 0) FROM rd_meta WHERE name = 'test.effect'"};
constexpr sql::Statement kMoveExpiry{"UPDATE rd_idempotency SET expires_at = expires_at + 1"};

RingKey ring_key(std::uint8_t seed) {
  RingKey key;
  key.key.fill(seed);
  key.key[0] = 1;
  key.id = {seed, 0, 0, 1};
  return key;
}

KeptAnswer answer_with(std::string body, int status = 201) {
  return {.status = status,
          .content_type = "text/plain",
          .headers = "Location: /it\r\n",
          .body = std::move(body)};
}

MaybeAnswer make_text(const std::type_info& type, const void* value) {
  if (type != typeid(std::string)) return std::nullopt;
  return answer_with(*static_cast<const std::string*>(value));
}

class IdempotencyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Key256 pepper{};
    pepper.fill(0x5a);
    vault_.set_pepper(pepper);
    open();
  }
  void TearDown() override { close(); }

  void open() {
    record_ = home_.open(clock_, metrics_);
    refusing_ = std::make_unique<test::RefusingRecord>(*record_);
    service_ = instance();
  }
  void close() {
    service_.reset();
    if (record_) record_->stop();
    refusing_.reset();
    record_.reset();
  }

  // Another process on the same record.
  std::unique_ptr<Idempotency> instance() { return instance(*refusing_); }
  std::unique_ptr<Idempotency> instance(record::Record& record) {
    return make_idempotency({.record = record,
                             .vault = vault_,
                             .clock = clock_,
                             .log = null_log(),
                             .metrics = metrics_},
                            24h);
  }

  static KeyedRequest request(std::string_view key = "k1", std::uint8_t fingerprint = 1) {
    KeyedRequest request{.key = key, .operation = "things.make", .make = make_text};
    request.fingerprint.fill(fingerprint);
    return request;
  }

  // A request as an operation carries it out: one unit with its effect.
  Idempotency::Run effect(std::string body = "made") { return effect_on(*refusing_, body); }
  Idempotency::Run straight_effect(std::string body) { return effect_on(*record_, body); }
  Idempotency::Run effect_on(record::Record& record, std::string body) {
    return [this, &record, body](const Context& context) -> boost::asio::awaitable<MaybeAnswer> {
      ++runs_;
      std::function<Task<void>(record::Unit&)> work = [&](record::Unit& unit) -> Task<void> {
        RD_CO_CHECK(co_await unit.run(kEffect));
        co_return co_await record::keep_answer(context, unit, body);
      };
      record::Reach reach{context.caller.tenant, {"test"}};
      auto done = co_await record.write_within(record::with_answer_of(context, std::move(reach)),
                                               std::move(work));
      MaybeAnswer answer;
      if (done) answer = answer_with(body);
      if (!done) last_error_ = done.error();
      co_return answer;
    };
  }
  static Idempotency::Run refusal(int status) {
    return [status](const Context&) -> boost::asio::awaitable<MaybeAnswer> {
      co_return answer_with("no", status);
    };
  }

  // What the client is told.
  std::string ask(Idempotency& service, const KeyedRequest& asked, const Idempotency::Run& run,
                  std::string tenant = "acme", std::string principal = "key:test") {
    Caller caller = test::admin_of(std::move(tenant));
    caller.principal = std::move(principal);
    const Context context = test::context_of(caller);
    last_error_.reset();
    auto answer = test::run(service.once(context, asked, run));
    if (!answer) return std::string(slug_of(answer.error()));
    if (!*answer) return last_error_ ? std::string(slug_of(*last_error_)) : "done";
    return "again: " + (*answer)->body;
  }
  std::string ask(const KeyedRequest& asked, const Idempotency::Run& run) {
    return ask(*service_, asked, run);
  }

  std::int64_t effects() {
    return *test::run(record_->read<std::int64_t>([](sql::Transaction& tx) -> Task<std::int64_t> {
      RD_CO_TRY(rows, co_await tx.run(kEffects));
      co_return rows[0].integer(0);
    }));
  }
  std::int64_t rows_under(std::uint8_t seed) {
    return *test::run(make_answer_resealer(*record_, vault_)->rows_needing(ring_key(seed).id));
  }
  std::int64_t trim() {
    record::RetentionClass rows = record::answer_retention();
    const WallTime cutoff = clock_.wall() - rows.keep;
    return *test::run(record_->write<std::int64_t>(
        [&](record::Unit& unit) { return rows.trim(unit, cutoff, 100); }));
  }

  test::RecordHome home_;
  ManualClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  Vault vault_{{ring_key(7)}, random_};
  std::unique_ptr<record::Record> record_;
  std::unique_ptr<test::RefusingRecord> refusing_;
  std::unique_ptr<Idempotency> service_;
  std::optional<Error> last_error_;
  int runs_ = 0;
};

TEST_F(IdempotencyTest, CarriesARequestOutOnceAndRepeatsItsAnswer) {
  EXPECT_EQ(ask(request(), effect("made")), "done");
  EXPECT_EQ(ask(request(), effect("another")), "again: made");
  EXPECT_EQ(effects(), 1);
  EXPECT_EQ(runs_, 1);
}

TEST_F(IdempotencyTest, RepeatsAllOfTheAnswer) {
  ask(request(), effect("made"));
  const Caller caller = test::admin_of("acme");
  const auto again = test::run(service_->once(test::context_of(caller), request(), effect()));
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->status, 201);
  EXPECT_EQ((*again)->content_type, "text/plain");
  EXPECT_EQ((*again)->headers, "Location: /it\r\n");
}

TEST_F(IdempotencyTest, KnowsAnAnswerAfterARestart) {
  ask(request(), effect("made"));
  close();
  open();
  EXPECT_EQ(ask(request(), effect("another")), "again: made");
  EXPECT_EQ(effects(), 1);
}

TEST_F(IdempotencyTest, AKeyIsOneOfATenantAPrincipalAndAnOperation) {
  ask(request(), effect());
  EXPECT_EQ(ask(*service_, request(), effect(), "globex"), "done");
  EXPECT_EQ(ask(*service_, request(), effect(), "acme", "key:other"), "done");
  KeyedRequest other = request();
  other.operation = "things.break";
  EXPECT_EQ(ask(other, effect()), "done");
  EXPECT_EQ(ask(request("k2"), effect()), "done");
  EXPECT_EQ(effects(), 5);
}

TEST_F(IdempotencyTest, RefusesAnotherRequestUnderTheSameKey) {
  ask(request("k1", 1), effect());
  EXPECT_EQ(ask(request("k1", 2), effect()), "idempotency_key_reused");
  EXPECT_EQ(effects(), 1);
}

TEST_F(IdempotencyTest, KeepsNothingOfWhatCouldNotBeDone) {
  refusing_->refuse(true);
  EXPECT_EQ(ask(request(), effect()), "record_unavailable");
  refusing_->refuse(false);
  EXPECT_EQ(ask(request(), effect()), "done");
  EXPECT_EQ(effects(), 1);
}

TEST_F(IdempotencyTest, KeepsARefusalThatLasts) {
  EXPECT_EQ(ask(request(), refusal(404)), "done");
  EXPECT_EQ(ask(request(), effect()), "again: no");
  EXPECT_EQ(effects(), 0);
}

TEST_F(IdempotencyTest, AnAnswerThatIsNotKeptIsGivenAllTheSame) {
  refusing_->refuse(true);
  EXPECT_EQ(ask(request(), refusal(404)), "done");
  refusing_->refuse(false);
  EXPECT_EQ(ask(request(), effect()), "done");
}

TEST_F(IdempotencyTest, TheSlowerOfTwoInstancesIsUndoneAndRepeatsTheFaster) {
  const auto other = instance();
  const Idempotency::Run slower =
      [&](const Context& context) -> boost::asio::awaitable<MaybeAnswer> {
    const Idempotency::Run faster = effect("faster");
    const KeyedRequest same = request();
    auto answer = co_await other->once(context, same, faster);
    EXPECT_TRUE(answer);
    const Idempotency::Run own = effect("slower");
    co_return co_await own(context);
  };
  EXPECT_EQ(ask(request(), slower), "again: faster");
  EXPECT_EQ(effects(), 1);
  EXPECT_EQ(runs_, 2);
}

// Each with a connection's worth of luck: on PostgreSQL their units are in batches side by side.
TEST_F(IdempotencyTest, OfManyAtOnceOneIsCarriedOut) {
  constexpr std::size_t kMany = 24;
  const Caller caller = test::admin_of("acme");
  const Context context = test::context_of(caller);
  std::vector<std::unique_ptr<Idempotency>> instances;
  std::vector<std::string> answers(kMany);
  boost::asio::io_context io;
  const auto one = [&](std::size_t i) -> boost::asio::awaitable<void> {
    const KeyedRequest same = request();
    const Idempotency::Run run = straight_effect(std::to_string(i));
    auto answer = co_await instances[i]->once(context, same, run);
    if (answer) answers[i] = *answer ? (*answer)->body : std::to_string(i);
  };
  for (std::size_t i = 0; i < kMany; ++i) instances.push_back(instance(*record_));
  for (std::size_t i = 0; i < kMany; ++i) {
    boost::asio::co_spawn(io, one(i), [](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
    });
  }
  io.run();

  EXPECT_EQ(effects(), 1);
  for (const std::string& answer : answers) EXPECT_EQ(answer, answers[0]);
  EXPECT_NE(answers[0], "");
}

TEST_F(IdempotencyTest, ASlowerRefusalRepeatsWhatWasDone) {
  const auto other = instance();
  const Idempotency::Run slower =
      [&](const Context& context) -> boost::asio::awaitable<MaybeAnswer> {
    const Idempotency::Run faster = effect("faster");
    const KeyedRequest same = request();
    auto answer = co_await other->once(context, same, faster);
    EXPECT_TRUE(answer);
    co_return answer_with("gone already", 404);
  };
  EXPECT_EQ(ask(request(), slower), "again: faster");
}

TEST_F(IdempotencyTest, RefusesAtOnceWhileTheSameInstanceIsAtIt) {
  std::string meanwhile;
  const Idempotency::Run run = [&](const Context& context) -> boost::asio::awaitable<MaybeAnswer> {
    const Idempotency::Run again = effect();
    const KeyedRequest same = request();
    auto answer = co_await service_->once(context, same, again);
    meanwhile = answer ? "answered" : std::string(slug_of(answer.error()));
    const Idempotency::Run own = effect();
    co_return co_await own(context);
  };
  EXPECT_EQ(ask(request(), run), "done");
  EXPECT_EQ(meanwhile, "idempotency_in_progress");
  EXPECT_EQ(effects(), 1);
}

TEST_F(IdempotencyTest, ForgetsAnAnswerAfterItsTime) {
  ask(request(), effect("first"));
  clock_.advance(24h - 1ms);
  EXPECT_EQ(ask(request(), effect("second")), "again: first");
  clock_.advance(1ms);
  EXPECT_EQ(ask(request("k1", 2), effect("second")), "done") << "in the place of the old row";
  EXPECT_EQ(ask(request("k1", 2), effect("third")), "again: second");
  EXPECT_EQ(effects(), 2);
}

TEST_F(IdempotencyTest, ExpiredAnswersAreDeleted) {
  ask(request("old"), effect());
  clock_.advance(12h);
  ask(request("new"), effect());
  clock_.advance(12h + 1min);
  EXPECT_EQ(trim(), 1);
  EXPECT_EQ(trim(), 0);
  EXPECT_EQ(ask(request("new"), effect()), "again: made");
}

TEST_F(IdempotencyTest, AnAnswerTooLargeUndoesItsEffect) {
  EXPECT_EQ(ask(request(), effect(std::string(kKeptAnswerMax, 'x'))),
            "idempotency_answer_too_large");
  EXPECT_EQ(effects(), 0);
  EXPECT_EQ(ask(request(), effect(std::string(kKeptAnswerMax / 2, 'x'))), "done");
}

TEST_F(IdempotencyTest, NothingOfAnAnswerCanBeReadInTheFiles) {
  ask(request("a-key-with-a-name"), effect("tall-grass-and-thunder"));
  close();
  for (const std::string& file : home_.files()) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(bytes.find("tall-grass"), std::string::npos) << file;
    EXPECT_EQ(bytes.find("a-key-with-a-name"), std::string::npos) << file;
  }
}

TEST_F(IdempotencyTest, AnAnswerWhoseRowWasChangedDoesNotOpen) {
  ask(request(), effect());
  ASSERT_TRUE(test::run(record_->write_unit([](record::Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await unit.run(kMoveExpiry));
    co_return Result<void>{};
  })));
  EXPECT_EQ(ask(request(), effect()), "sealed_payload_invalid");
  EXPECT_EQ(effects(), 1);
}

TEST_F(IdempotencyTest, AnswersAreSealedAgainUnderANewKey) {
  ask(request("k1"), effect("one"));
  ask(request("k2"), effect("two"));
  vault_.reload({ring_key(9), ring_key(7)});
  const auto resealer = make_answer_resealer(*record_, vault_);
  EXPECT_EQ(*test::run(resealer->keys_in_use()), std::vector<KeyId>{ring_key(7).id});

  record::ResealStep step;
  step.under = ring_key(7).id;
  step.primary = ring_key(9).id;
  step.batch = 10;
  const auto progress = test::run(resealer->reseal_some(step));

  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->resealed, 2);
  EXPECT_TRUE(progress->done);
  EXPECT_EQ(rows_under(7), 0);
  EXPECT_EQ(rows_under(9), 2);
  vault_.reload({ring_key(9)});
  EXPECT_EQ(ask(request("k1"), effect()), "again: one");
}

TEST_F(IdempotencyTest, WhileTheRecordIsAwayOnlyWhatIsUrgentIsTried) {
  refusing_->cut_off(clock_.boot());
  EXPECT_EQ(ask(request(), effect()), "record_unavailable");
  EXPECT_EQ(runs_, 0);
  KeyedRequest urgent = request();
  urgent.urgent = true;
  EXPECT_EQ(ask(urgent, effect()), "record_unavailable");
  EXPECT_EQ(runs_, 1);
}

// ---- Deadlines ----

TEST_F(IdempotencyTest, WhatWasKeptIsLookedForUntilTheDeadlineOfTheRequest) {
  const Caller caller = test::admin_of("acme");
  Context context = test::context_of(caller);
  context.deadline = clock_.boot() + 5s;
  ASSERT_TRUE(test::run(service_->once(context, request("k1"), effect())));
  EXPECT_EQ(refusing_->read_deadline(), context.deadline);

  KeyedRequest urgent = request("k2");
  urgent.urgent = true;
  ASSERT_TRUE(test::run(service_->once(context, urgent, effect())));
  EXPECT_EQ(refusing_->read_deadline(), record::kNoDeadline) << "what ends something is not late";
}

}  // namespace
}  // namespace redoubt::idempotency
