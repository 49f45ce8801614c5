// Sessions with copies in a shared tier that loses them, keeps them too long, and brings old ones
// back: the twin of Redis does whatever a test says.
#include "services/sessions/copies.hpp"

#include "services/sessions/flights.hpp"
#include "shared/memory_copies.hpp"
#include "tests/support/fake_timers.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;
using test::run;

// What one process knows of the shared tier, and a worker of it that keeps nothing in memory.
struct Process {
  Process(const Clock& clock, shared::Copies& copies, record::Record& record, Vault& vault)
      : state(clock, metrics),
        changes(state.eras()),
        session_copies({.copies = copies,
                        .state = state,
                        .changes = changes,
                        .record = record,
                        .vault = vault,
                        .clock = clock,
                        .metrics = metrics}) {}

  Metrics metrics;
  shared::SharedState state;
  shared::Changes changes;
  SessionCopies session_copies;
  std::unique_ptr<Sessions> sessions;

  std::uint64_t from_copy() { return SessionMetrics(metrics).from_copy.value(); }
  std::uint64_t from_record() { return SessionMetrics(metrics).from_record.value(); }
};

// A record whose journal is behind when a test says so.
class LateRecord final : public record::Record {
 public:
  explicit LateRecord(record::Record& record) : record_(record) {}
  BootTime fresh_until_at = BootTime{INT64_MAX};

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    return record_.write_unit(std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return record_.read_snapshot(std::move(work));
  }
  void subscribe(record::JournalListener listener) override { record_.subscribe(listener); }
  BootTime fresh_until() const override { return fresh_until_at; }
  bool cut_off() const override { return cut_off_now; }
  record::Status status() const override { return record_.status(); }
  void stop() override {}

  bool cut_off_now = false;

 private:
  record::Record& record_;
};

class SessionCopiesTest : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    late_ = std::make_unique<LateRecord>(*record_);
    start();
  }
  void TearDown() override {
    process_.reset();
    SessionsFixture::TearDown();
  }

  void subscribe_first() override {
    record_->subscribe([this](const record::JournalEntry& entry) {
      if (process_) listen_for_copies(process_->changes)(entry);
    });
  }

  // A new process over the same record and the same Redis.
  void start() {
    if (process_) used_before_ += process_->from_copy();
    process_.reset();
    process_ = std::make_unique<Process>(clock_, copies_, *late_, vault_);
    poll();
    ++era_;
    poll();
    process_->state.canary_answered(true, {});
    SessionParts parts = this->parts(*late_, process_->metrics, invalidations_);
    parts.copies = &process_->session_copies;
    parts.grace = &grace_;
    process_->sessions = make_sessions(parts, without_memory(options_));
  }
  void poll() {
    shared::Eras& eras = process_->state.eras();
    eras.poll_ended(eras.poll_begins(), era_);
    process_->state.learned(1, clock_.boot());
  }
  void next_era() {
    ++era_;
    poll();
  }

  Sessions& sessions() { return *process_->sessions; }
  IssuedSession make(std::string user = "alice", std::string data = "{}") {
    NewSession request;
    request.user = std::move(user);
    request.data = std::move(data);
    auto issued = run(sessions().create(acme_, std::move(request)));
    EXPECT_TRUE(issued) << issued.error().message << issued.error().cause;
    return *issued;
  }
  bool good(const IssuedSession& issued) { return valid(sessions(), issued.token); }
  std::string data_of(const IssuedSession& issued) {
    const auto verified = authenticate(sessions(), issued.token);
    return verified ? verified->session->data : "(refused)";
  }
  void revoke(const IssuedSession& issued) {
    ASSERT_TRUE(run(sessions().revoke(acme_, issued.session->id)));
  }

  shared::MemoryCopies copies_{clock_, metrics_};
  record::AuthGrace grace_{30s};
  std::unique_ptr<LateRecord> late_;
  std::unique_ptr<Process> process_;
  std::int64_t era_ = 0;
  std::uint64_t used_before_ = 0;  // Copies, by processes that are gone.
};

TEST_F(SessionCopiesTest, AnswerInsteadOfTheRecord) {
  const IssuedSession issued = make("alice", R"({"cart":3})");

  const auto verified = authenticate(sessions(), issued.token);

  ASSERT_TRUE(verified);
  EXPECT_EQ(process_->from_copy(), 1U);
  EXPECT_EQ(process_->from_record(), 0U);
  const Session& session = *verified->session;
  EXPECT_EQ(session.id, issued.session->id);
  EXPECT_EQ(session.tenant, "acme");
  EXPECT_EQ(session.user, "alice");
  EXPECT_EQ(session.data, R"({"cart":3})");
  EXPECT_EQ(session.version, 1);
  EXPECT_EQ(session.created_at, issued.session->created_at);
  EXPECT_EQ(session.absolute_expires_at, issued.session->absolute_expires_at);
  EXPECT_EQ(verified->expires_at, issued.expires_at);
}

TEST_F(SessionCopiesTest, AreMadeByTheFirstReadAndKeptByTheNext) {
  const IssuedSession issued = make();
  copies_.restore({});

  EXPECT_TRUE(good(issued));
  EXPECT_TRUE(good(issued));

  EXPECT_EQ(process_->from_record(), 1U);
  EXPECT_EQ(process_->from_copy(), 1U);
}

TEST_F(SessionCopiesTest, OfARevokedSessionAreWorthNothingThoughTheyComeBack) {
  const IssuedSession issued = make();
  const auto before = copies_.values();

  revoke(issued);

  EXPECT_FALSE(good(issued));
  copies_.restore(before);
  EXPECT_FALSE(good(issued)) << "put back by hand";
  for (int i = 0; i < 5; ++i) {
    next_era();
    copies_.restore(before);
    EXPECT_FALSE(good(issued)) << "after " << i + 1 << " eras";
  }
}

TEST_F(SessionCopiesTest, OfARevokedSessionAreWorthNothingThoughRedisNeverHeardOfIt) {
  const IssuedSession issued = make();
  copies_.fail(true);
  revoke(issued);
  copies_.fail(false);
  ASSERT_FALSE(copies_.values().empty());
  EXPECT_FALSE(good(issued));
}

TEST_F(SessionCopiesTest, FromBeforeARestartAreNotTrusted) {
  const IssuedSession kept = make();
  const IssuedSession ended = make();
  copies_.fail(true);
  revoke(ended);
  copies_.fail(false);

  start();

  EXPECT_FALSE(good(ended));
  EXPECT_TRUE(good(kept));
  EXPECT_EQ(process_->from_copy(), 0U);
  EXPECT_EQ(process_->from_record(), 1U);
  EXPECT_TRUE(good(kept));
  EXPECT_EQ(process_->from_copy(), 1U) << "what was read since is";
}

TEST_F(SessionCopiesTest, NeverShowAnOlderValueThanTheAcknowledgedOne) {
  const IssuedSession issued = make("alice", R"({"n":1})");
  const auto before = copies_.values();

  ASSERT_TRUE(run(sessions().update(acme_, issued.session->id, R"({"n":2})", {})));

  EXPECT_EQ(data_of(issued), R"({"n":2})");
  EXPECT_EQ(process_->from_copy(), 1U) << "the update left a copy that has it";
  copies_.restore(before);
  EXPECT_EQ(data_of(issued), R"({"n":2})");
  EXPECT_EQ(process_->from_record(), 1U);
}

TEST_F(SessionCopiesTest, AreOvertakenByAnExtension) {
  const IssuedSession issued = make();
  const auto before = copies_.values();
  ASSERT_TRUE(run(sessions().extend(acme_, issued.session->id, Duration(7'200'000))));
  copies_.restore(before);
  const auto verified = authenticate(sessions(), issued.token);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->session->idle_ttl, Duration(7'200'000));
}

TEST_F(SessionCopiesTest, ARotationEndsTheOldCopyAndLeavesANewOne) {
  const IssuedSession old = make();
  const auto before = copies_.values();
  const auto rotated = run(sessions().rotate(acme_, old.session->id));
  ASSERT_TRUE(rotated);
  EXPECT_TRUE(good(*rotated));
  EXPECT_EQ(process_->from_copy(), 1U);
  EXPECT_FALSE(good(old));
  copies_.restore(before);
  EXPECT_FALSE(good(old));
  EXPECT_TRUE(good(*rotated));
}

TEST_F(SessionCopiesTest, EndWithAllOfTheirUserButTheOneThatIsSpared) {
  const IssuedSession first = make();
  const IssuedSession spared = make();
  const IssuedSession other = make("bob");
  const auto before = copies_.values();

  ASSERT_TRUE(run(sessions().revoke_all(acme_, "alice", spared.session->id)));

  copies_.restore(before);
  EXPECT_FALSE(good(first));
  EXPECT_TRUE(good(spared));
  EXPECT_TRUE(good(other));
}

TEST_F(SessionCopiesTest, EndWithTheirTenant) {
  const IssuedSession issued = make();
  set_tenant("acme", false);
  EXPECT_FALSE(good(issued));
  set_tenant("acme", true);
  EXPECT_FALSE(good(issued));
}

TEST_F(SessionCopiesTest, AreNotAskedWhileTheJournalIsBehind) {
  const IssuedSession issued = make();
  late_->fresh_until_at = clock_.boot();
  EXPECT_TRUE(good(issued));
  EXPECT_EQ(process_->from_copy(), 0U);
  EXPECT_EQ(process_->from_record(), 1U);
}

TEST_F(SessionCopiesTest, AreNotUsedAfterAGapInTheJournal) {
  const IssuedSession issued = make();
  process_->changes.heard_everything();
  EXPECT_TRUE(good(issued));
  EXPECT_EQ(process_->from_copy(), 0U);
}

TEST_F(SessionCopiesTest, LostOrUnreadableOnesLoseNoSession) {
  const IssuedSession issued = make();
  copies_.fail(true);
  EXPECT_TRUE(good(issued));
  copies_.fail(false);
  copies_.restore({});
  EXPECT_TRUE(good(issued));
  EXPECT_EQ(process_->from_record(), 2U);
}

TEST_F(SessionCopiesTest, ThatWereAlteredOrMovedAreNotOpened) {
  const IssuedSession issued = make();
  const IssuedSession other = make("bob");
  const auto values = copies_.values();
  ASSERT_EQ(values.size(), 2U);
  const std::size_t longest =
      std::max(values.begin()->second.text.size(), values.rbegin()->second.text.size());
  for (std::size_t at = 0; at < longest; ++at) {
    auto damaged = values;
    for (auto& [key, value] : damaged) value.text[std::min(at, value.text.size() - 1)] ^= 1;
    copies_.restore(damaged);
    const auto before = process_->from_copy();
    EXPECT_TRUE(good(issued)) << "the record says so";
    EXPECT_EQ(process_->from_copy(), before) << "byte " << at;
  }
  auto swapped = values;
  std::swap(swapped.begin()->second, swapped.rbegin()->second);
  copies_.restore(swapped);
  const auto verified = authenticate(sessions(), issued.token);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->session->user, "alice");
}

TEST_F(SessionCopiesTest, HoldNothingThatCouldBeUsedOrRead) {
  const IssuedSession issued = make("alice-in-clear", R"({"secret":"in-clear"})");
  std::string all;
  for (const auto& [key, value] : copies_.values()) all += key + value.text;
  EXPECT_NE(all.find(issued.session->id), std::string::npos);
  EXPECT_EQ(all.find("in-clear"), std::string::npos);
  EXPECT_EQ(all.find(issued.token.substr(4, 40)), std::string::npos);
}

TEST_F(SessionCopiesTest, DoNotAnswerForAnotherTenant) {
  const IssuedSession issued = make();
  EXPECT_EQ(error_of(run(sessions().verify(globex_, issued.token))), "session_invalid");
  EXPECT_TRUE(run(sessions().verify(acme_, issued.token)));
}

TEST_F(SessionCopiesTest, AUseIsNotedOnceByWhoeverSeesIt) {
  const IssuedSession issued = make();
  clock_.advance(40s);
  poll();

  for (int i = 0; i < 5; ++i) EXPECT_TRUE(good(issued));

  EXPECT_EQ(process_->from_copy(), 5U);
  EXPECT_EQ(process_->from_record(), 0U);
  ASSERT_TRUE(run(sessions().flush_uses()));
  const auto stored = run(sessions().get(acme_, issued.session->id));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->session->last_seen_at, clock_.wall());
}

TEST_F(SessionCopiesTest, KnowOfNoUseThatTheRecordDoesNotKnow) {
  SessionParts parts = this->parts(*late_, process_->metrics, invalidations_);
  parts.copies = &process_->session_copies;
  parts.grace = &grace_;
  const auto remembers = make_sessions(parts, options_);
  const IssuedSession issued = make();
  ASSERT_TRUE(valid(*remembers, issued.token));
  clock_.advance(25s);
  poll();
  ASSERT_TRUE(valid(*remembers, issued.token)) << "it is too early to note that";
  ASSERT_TRUE(run(sessions().revoke_all(acme_, "alice", issued.session->id)));
  poll();
  next_era();
  ASSERT_TRUE(valid(*remembers, issued.token)) << "from the record, and copied";
  clock_.advance(15s);
  poll();

  const std::uint64_t from_copies = process_->from_copy();
  ASSERT_TRUE(good(issued));
  ASSERT_EQ(process_->from_copy(), from_copies + 1);
  ASSERT_TRUE(run(sessions().flush_uses()));
  const auto stored = run(sessions().get(acme_, issued.session->id));
  EXPECT_EQ(stored->session->last_seen_at, clock_.wall());
}

TEST_F(SessionCopiesTest, ThatLookIdleLeaveItToTheRecord) {
  const IssuedSession issued = make();
  const auto before = copies_.values();
  for (int i = 0; i < 40; ++i) {
    clock_.advance(3min);
    poll();
    ASSERT_TRUE(good(issued));
    ASSERT_TRUE(run(sessions().flush_uses()));
  }
  auto forever = before;
  for (auto& [key, value] : forever) value.ends = BootTime{INT64_MAX};
  copies_.restore(forever);
  EXPECT_TRUE(good(issued)) << "it was in use";
  clock_.advance(62min);
  poll();
  copies_.restore(forever);
  EXPECT_FALSE(good(issued));
}

TEST_F(SessionCopiesTest, InMemoryAreNotTrustedEitherWhileTheJournalIsBehind) {
  const auto memory = worker(*late_);
  const IssuedSession issued = make();
  ASSERT_TRUE(valid(*memory, issued.token));
  ASSERT_TRUE(memory->authenticate_now(issued.token));
  late_->fresh_until_at = clock_.boot();
  EXPECT_FALSE(memory->authenticate_now(issued.token));
  EXPECT_TRUE(valid(*memory, issued.token));
}

// Anything in any order, with a Redis that forgets, fails and goes back in time.
TEST_F(SessionCopiesTest, AgreeWithTheRecordInAnyHistory) {
  SeededRandom random(5);
  struct Model {
    IssuedSession issued;
    int n = 0;
    bool ended = false;
  };
  std::vector<Model> all;
  std::vector<shared::MemoryCopies::Values> snapshots(1);
  const auto any = [&]() -> Model& { return all[random.below(all.size())]; };
  all.push_back({make("alice", R"({"n":0})")});
  for (int i = 0; i < 1500; ++i) {
    switch (random.below(12)) {
      case 0:
        if (all.size() < 12) all.push_back({make("alice", R"({"n":0})")});
        break;
      case 1: {
        Model& model = any();
        if (random.below(6) == 0 && !model.ended) {
          revoke(model.issued);
          model.ended = true;
        }
        break;
      }
      case 2: {
        Model& model = any();
        if (model.ended) break;
        const std::string patch = R"({"n":)" + std::to_string(++model.n) + "}";
        ASSERT_TRUE(run(sessions().update(acme_, model.issued.session->id, patch, {})));
        break;
      }
      case 3:
        snapshots.push_back(copies_.values());
        break;
      case 4:
        copies_.restore(snapshots[random.below(snapshots.size())]);
        break;
      case 5:
        copies_.fail(random.below(3) == 0);
        break;
      case 6:
        if (random.below(20) == 0) start();
        break;
      case 7:
        if (random.below(10) == 0) next_era();
        poll();
        break;
      default: {
        const Model& model = any();
        const std::string expected =
            model.ended ? "(refused)" : R"({"n":)" + std::to_string(model.n) + "}";
        ASSERT_EQ(data_of(model.issued), expected) << "step " << i;
      }
    }
  }
  EXPECT_GT(used_before_ + process_->from_copy(), 50U) << "too few to say anything";
}

TEST(SessionCopyFormat, IsReadAsItWasWritten) {
  SessionCopy copy;
  copy.era = 77;
  copy.row.verifier.fill(3);
  copy.row.user = "alice";
  copy.row.address = "::1";
  copy.row.created_at = WallTime{1};
  copy.row.absolute_expires_at = WallTime{2};
  copy.row.idle_ttl = Duration(3);
  copy.row.last_seen_at = WallTime{4};
  copy.data = "{}";
  const Bytes packed = pack_copy(copy);
  const auto read = unpack_copy(packed);
  ASSERT_TRUE(read);
  EXPECT_EQ(pack_copy(*read), packed);
  EXPECT_EQ(read->row.user, "alice");
  for (std::size_t n = 0; n < packed.size(); ++n) {
    EXPECT_FALSE(unpack_copy(ByteView(packed).first(n))) << n;
  }
}

TEST(Flights, OthersWaitForTheOneThatIsUnderWay) {
  ManualClock clock;
  boost::asio::io_context io;
  test::FakeTimers timers(io, clock);
  Flights flights(timers);
  const Id128 id{1};
  std::optional<Flights::Flight> flight(std::in_place, flights, id);
  bool landed = false;
  boost::asio::co_spawn(io, flights.wait(id, Duration(100)),
                        [&landed](std::exception_ptr) { landed = true; });
  timers.run();
  EXPECT_TRUE(flights.under_way(id));
  EXPECT_FALSE(landed);
  flight.reset();
  timers.run();
  EXPECT_TRUE(landed);
  EXPECT_FALSE(flights.under_way(id));
}

// ---- In memory ----

TEST_F(SessionCopiesTest, InMemoryDoNotAnswerOnceANewerVersionWasRead) {
  const local::Invalidations untold;  // The journal is not heard here.
  const auto other = make_sessions(parts(*late_, metrics_, untold), options_);
  const IssuedSession issued = make();
  ASSERT_TRUE(valid(*other, issued.token));
  ASSERT_TRUE(run(sessions().update(acme_, issued.session->id, R"({"a":1})", {})));
  late_->fresh_until_at = clock_.boot();  // It is cut off for a moment, and asks the record.
  ASSERT_EQ(authenticate(*other, issued.token)->session->version, 2);

  late_->fresh_until_at = BootTime{INT64_MAX};

  EXPECT_EQ(authenticate(*other, issued.token)->session->version, 2);
}

// ---- While the record is away ----

TEST_F(SessionCopiesTest, AnswerForTheGraceWhileTheRecordIsAway) {
  const IssuedSession issued = make();
  ASSERT_TRUE(good(issued));
  late_->fresh_until_at = clock_.boot();
  const std::uint64_t before = process_->from_copy();

  EXPECT_TRUE(good(issued));
  EXPECT_EQ(process_->from_copy(), before) << "it is in reach: it is asked";
  late_->cut_off_now = true;
  const auto verified = run(sessions().authenticate(issued.token));
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->by_grace);
  EXPECT_EQ(process_->from_copy(), before + 1);

  clock_.advance(30s);
  const auto later = run(sessions().authenticate(issued.token));
  EXPECT_FALSE(later && later->by_grace);
  EXPECT_EQ(process_->from_copy(), before + 1);
}

TEST_F(SessionCopiesTest, DoNotAnswerForTheGraceWhenTheyAreKnownToBeOld) {
  const IssuedSession issued = make();
  ASSERT_TRUE(good(issued));
  const auto kept = copies_.values();
  revoke(issued);
  copies_.restore(kept);  // Redis brings back what it had.
  late_->fresh_until_at = clock_.boot();
  late_->cut_off_now = true;

  EXPECT_FALSE(run(sessions().authenticate(issued.token)));
}

}  // namespace
}  // namespace redoubt::sessions
