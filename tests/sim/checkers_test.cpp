// Each checker on histories made by hand: it says nothing of what is right, and sees what is wrong.
#include "tests/sim/checkers.hpp"

#include <gtest/gtest.h>

namespace redoubt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Checkers : public testing::Test {
 protected:
  Operation& add(Deed deed, Nanos begun, Nanos ended, std::int64_t value = 0, int instance = 0,
                 Outcome outcome = Outcome::ok) {
    Operation op;
    op.deed = deed;
    op.begun = begun;
    op.ended = ended;
    op.value = value;
    op.instance = static_cast<std::int8_t>(instance);
    op.outcome = outcome;
    history_.operations.push_back(op);
    return history_.operations.back();
  }
  // Session 0, made at once and still there.
  void session(std::int64_t version = 1, bool revoked = false) {
    history_.sessions.push_back({0, 0, "ses_a"});
    history_.final_sessions["ses_a"] = {version, revoked};
    add(Deed::create, seconds(0), milliseconds(10));
  }
  // API key 0, made at once.
  void key(bool ended = false) {
    history_.keys.push_back({0, "key_a"});
    history_.final_keys["key_a"] = ended;
    add(Deed::make_key, seconds(0), milliseconds(10));
  }
  template <class F>
  std::size_t found(F checker) {
    Violations out;
    checker(history_, out);
    return out.size();
  }
  std::size_t found_by_limits() {
    Violations out;
    tally_ = {};
    check_limits(history_, out, tally_);
    return out.size();
  }
  std::size_t found_by_strict() {
    Violations out;
    check_strict(history_, out, tally_);
    return out.size();
  }
  // 10 a second, 5 at once.
  void limit() { history_.limits.push_back({"acme/quick", 10, 5, 1'000'000}); }
  Charge& charge(Nanos at, std::uint64_t memory = 1, int instance = 0) {
    Charge charge;
    charge.at = at;
    charge.clock_us = std::chrono::duration_cast<std::chrono::microseconds>(at).count();
    charge.price_us = 100'000;
    charge.tau_us = 500'000;
    charge.memory = memory;
    charge.generation = 1;
    charge.instance = static_cast<std::int8_t>(instance);
    charge.charged = true;
    history_.charges.push_back(charge);
    Operation& op = add(Deed::check, at, at + milliseconds(1), 0, instance);
    op.cost = 1;
    op.remaining = 4;
    return history_.charges.back();
  }
  void share(Nanos at, std::int64_t instances, int instance = 0) {
    Operation& op = add(Deed::check, at, at, 0, instance);
    op.cost = 1;
    op.degraded = true;
    op.instances = instances;
  }

  History history_;
  LimitTally tally_;
};

// ---- durable ----

TEST_F(Checkers, DurableTakesWhatIsRight) {
  session(3);
  add(Deed::update, seconds(1), seconds(2), 2);
  add(Deed::update, seconds(3), seconds(4), 0, 0, Outcome::unknown);
  EXPECT_EQ(found(check_durable), 0u);
}
TEST_F(Checkers, DurableSeesALostSession) {
  session();
  history_.final_sessions.clear();
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableSeesALostUpdate) {
  session(1);
  add(Deed::update, seconds(1), seconds(2), 2);
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableSeesAnUpdateThatNobodyMade) {
  session(2);
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableSeesARevocationThatWasLost) {
  session();
  add(Deed::revoke, seconds(1), seconds(2));
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableSeesASessionThatNobodyEnded) {
  session(1, true);
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableTakesAnEndWithoutAnOutcome) {
  session(1, true);
  add(Deed::revoke, seconds(1), seconds(2), 0, 0, Outcome::unknown);
  EXPECT_EQ(found(check_durable), 0u);
}
TEST_F(Checkers, DurableSeesASessionFromNowhere) {
  session();
  history_.final_sessions["ses_b"] = {1, false};
  EXPECT_EQ(found(check_durable), 1u);
  add(Deed::create, seconds(1), seconds(2), 0, 0, Outcome::unknown);
  EXPECT_EQ(found(check_durable), 0u);
}
TEST_F(Checkers, DurableSeesALiveSessionRefused) {
  session();
  add(Deed::verify, seconds(1), seconds(1), 0, 0, Outcome::refused);
  EXPECT_EQ(found(check_durable), 1u);
  history_.operations.back().unavailable = true;
  EXPECT_EQ(found(check_durable), 0u);
}

// ---- revoked ----

TEST_F(Checkers, RevokedAllowsOthersTwoSeconds) {
  session(1, true);
  add(Deed::revoke, seconds(1), seconds(1));
  add(Deed::verify, milliseconds(2'999), seconds(3), 1, 1);
  EXPECT_EQ(found(check_revoked), 0u);
  add(Deed::verify, milliseconds(3'001), seconds(4), 1, 1);
  EXPECT_EQ(found(check_revoked), 1u);
}
TEST_F(Checkers, RevokedAllowsTheInstanceThatDidItNothing) {
  session(1, true);
  add(Deed::revoke, seconds(1), seconds(1));
  add(Deed::verify, milliseconds(1'001), milliseconds(1'001), 1);
  EXPECT_EQ(found(check_revoked), 1u);
}
TEST_F(Checkers, RevokedIsAboutWhatWasAcknowledged) {
  session();
  add(Deed::revoke, seconds(1), seconds(1), 0, 0, Outcome::unknown);
  add(Deed::verify, seconds(9), seconds(9), 1);
  EXPECT_EQ(found(check_revoked), 0u);
}
TEST_F(Checkers, RevokedKnowsWhoseSessionsEndTogether) {
  session(1, true);
  add(Deed::revoke_all, seconds(1), seconds(1));
  add(Deed::verify, seconds(5), seconds(5), 1, 1);
  EXPECT_EQ(found(check_revoked), 1u);
}

TEST_F(Checkers, RevokedAllowsNothingToAnInstanceThatSaysItRefusesIt) {
  session();
  Operation& held = add(Deed::revoke, seconds(1), seconds(1), 0, 0, Outcome::refused);
  held.unavailable = held.held = true;
  add(Deed::verify, seconds(9), seconds(9), 1, 1);
  EXPECT_EQ(found(check_revoked), 0u) << "another instance does not know";
  add(Deed::verify, milliseconds(1'001), milliseconds(1'001), 1, 0);
  EXPECT_EQ(found(check_revoked), 1u);
}
TEST_F(Checkers, RevokedAllowsTheGraceToWhoSaysSo) {
  session(1, true);
  history_.auth_grace = seconds(5);
  add(Deed::revoke, seconds(1), seconds(1));
  add(Deed::verify, milliseconds(5'999), seconds(6), 1, 1).by_grace = true;
  EXPECT_EQ(found(check_revoked), 0u);
  add(Deed::verify, milliseconds(6'001), seconds(7), 1, 1).by_grace = true;
  EXPECT_EQ(found(check_revoked), 1u);
}
TEST_F(Checkers, DurableSeesAnEndThatWasHeldAndIsNotWritten) {
  session();
  Operation& held = add(Deed::revoke, seconds(1), seconds(1), 0, 0, Outcome::refused);
  held.unavailable = held.held = true;
  history_.states.push_back({.instance = 0, .run = 1});
  EXPECT_EQ(found(check_durable), 0u) << "that process has ended";
  history_.states.back().run = 0;
  EXPECT_EQ(found(check_durable), 1u);
}

TEST_F(Checkers, DurableSeesAnEndOfAllThatWasHeldAndIsNotWritten) {
  session();
  Operation& held = add(Deed::revoke_all, seconds(1), seconds(1), 0, 0, Outcome::refused);
  held.unavailable = held.held = true;
  EXPECT_EQ(found(check_durable), 0u) << "that process has ended";
  history_.states.push_back({.instance = 0});
  EXPECT_EQ(found(check_durable), 1u);
}
TEST_F(Checkers, DurableAllowsAHeldEndOfAllItsMillisecond) {
  session(1, true);
  history_.operations.back().begun = std::chrono::microseconds(5'700);
  Operation& held =
      add(Deed::revoke_all, std::chrono::microseconds(5'000), seconds(1), 0, 0, Outcome::refused);
  held.unavailable = held.held = true;
  EXPECT_EQ(found(check_durable), 0u) << "both are of one millisecond of their clocks";
  held.begun = std::chrono::microseconds(4'999);
  EXPECT_EQ(found(check_durable), 1u) << "it was made in the next one, though nobody was told yet";
  history_.wall_moved = true;
  EXPECT_EQ(found(check_durable), 0u) << "nobody knows by which clock";
}
TEST_F(Checkers, DurableSeesAnEndOfAllThatWasRefusedAndActs) {
  session(1, true);
  add(Deed::revoke_all, seconds(1), seconds(1), 0, 0, Outcome::refused).unavailable = true;
  EXPECT_EQ(found(check_durable), 1u) << "nobody said that it is held";
  history_.operations.back().outcome = Outcome::unknown;
  EXPECT_EQ(found(check_durable), 0u);
}

// ---- grace ----

TEST_F(Checkers, GraceIsForWhoIsCutOff) {
  history_.auth_grace = seconds(5);
  history_.reach = {{Nanos(0), 0, true, true}, {seconds(10), 0, true, false}};
  add(Deed::verify, seconds(12), seconds(12), 1).by_grace = true;
  EXPECT_EQ(found(check_grace), 0u);
  add(Deed::verify, seconds(9), seconds(9), 1).by_grace = true;
  EXPECT_EQ(found(check_grace), 1u) << "the record was in reach";
}
TEST_F(Checkers, GraceEnds) {
  history_.auth_grace = seconds(5);
  history_.reach = {{Nanos(0), 0, true, true}, {seconds(10), 0, true, false}};
  add(Deed::use_key, milliseconds(14'999), seconds(15), 1).by_grace = true;
  EXPECT_EQ(found(check_grace), 0u);
  add(Deed::use_key, milliseconds(15'001), seconds(16), 1).by_grace = true;
  EXPECT_EQ(found(check_grace), 1u);
}
TEST_F(Checkers, GraceIsTold) {
  history_.auth_grace = seconds(5);
  history_.reach = {{Nanos(0), 0, true, true}, {seconds(10), 0, true, false}};
  add(Deed::verify, milliseconds(11'999), seconds(12), 1);
  EXPECT_EQ(found(check_grace), 0u) << "its copy is fresh";
  add(Deed::verify, milliseconds(12'001), seconds(13), 1);
  EXPECT_EQ(found(check_grace), 1u);
}

// ---- API keys ----

TEST_F(Checkers, KeysThatAreThereAreTaken) {
  key();
  add(Deed::use_key, seconds(1), seconds(1), 0, 1);
  EXPECT_EQ(found(check_keys_durable), 0u);
  EXPECT_EQ(found(check_keys_revoked), 0u);
}
TEST_F(Checkers, KeysThatAreGoneAreSeen) {
  key();
  history_.final_keys.clear();
  EXPECT_EQ(found(check_keys_durable), 1u);
}
TEST_F(Checkers, KeysThatAreRefusedWithoutReasonAreSeen) {
  key();
  add(Deed::use_key, seconds(1), seconds(1), 0, 1, Outcome::refused);
  EXPECT_EQ(found(check_keys_durable), 1u);
  history_.operations.back().unavailable = true;
  EXPECT_EQ(found(check_keys_durable), 0u);
}
TEST_F(Checkers, KeysWhoseEndWasLostAreSeen) {
  key();
  add(Deed::end_key, seconds(1), seconds(1));
  EXPECT_EQ(found(check_keys_durable), 1u);
  history_.final_keys["key_a"] = true;
  EXPECT_EQ(found(check_keys_durable), 0u);
}
TEST_F(Checkers, KeysThatWorkAfterTheirEndAreSeen) {
  key(true);
  add(Deed::end_key, seconds(1), seconds(1));
  add(Deed::use_key, milliseconds(2'999), seconds(3), 0, 1);
  EXPECT_EQ(found(check_keys_revoked), 0u);
  add(Deed::use_key, milliseconds(3'001), seconds(4), 0, 1);
  add(Deed::use_key, milliseconds(1'001), seconds(2), 0, 0);
  EXPECT_EQ(found(check_keys_revoked), 2u);
}

// ---- fresh, monotone ----

TEST_F(Checkers, FreshSeesAnOldVersion) {
  session(2);
  add(Deed::update, seconds(1), seconds(1), 2);
  add(Deed::verify, seconds(2), seconds(2), 1, 1);
  EXPECT_EQ(found(check_fresh), 0u) << "within two seconds";
  add(Deed::verify, milliseconds(3'001), seconds(4), 1, 1);
  EXPECT_EQ(found(check_fresh), 1u);
}
TEST_F(Checkers, FreshSeesAnOldValueOfTheCache) {
  add(Deed::invalidate, seconds(1), seconds(1), 7);
  add(Deed::get, milliseconds(1'001), milliseconds(1'001), 6);
  EXPECT_EQ(found(check_fresh), 1u) << "its own instance has acknowledged the invalidation";
}
TEST_F(Checkers, FreshHoldsAnInstanceToWhatItInvalidatedWithoutTheRecord) {
  add(Deed::invalidate, seconds(1), seconds(1), 7).held = true;
  add(Deed::get, seconds(9), seconds(9), 6, 1);
  EXPECT_EQ(found(check_fresh), 0u) << "another instance need not know of it";
  add(Deed::get, milliseconds(1'001), milliseconds(1'001), 6);
  EXPECT_EQ(found(check_fresh), 1u);
}
TEST_F(Checkers, FreshTakesANewerValue) {
  add(Deed::invalidate, seconds(1), seconds(1), 7);
  add(Deed::get, seconds(9), seconds(9), 7);
  EXPECT_EQ(found(check_fresh), 0u);
}
TEST_F(Checkers, MonotoneSeesAStepBack) {
  session(2);
  add(Deed::verify, seconds(1), seconds(1), 2);
  add(Deed::verify, seconds(2), seconds(2), 1, 1);
  EXPECT_EQ(found(check_monotone), 0u) << "another instance";
  add(Deed::verify, seconds(2), seconds(2), 1, 0);
  EXPECT_EQ(found(check_monotone), 1u);
}

// ---- isolated, settled ----

TEST_F(Checkers, IsolatedReportsLeaks) {
  EXPECT_EQ(found(check_isolated), 0u);
  history_.leaks.push_back("x");
  EXPECT_EQ(found(check_isolated), 1u);
}
TEST_F(Checkers, SettledSeesWhoIsNotNormal) {
  history_.states.push_back({0, true, true, seconds(4), Nanos(0)});
  EXPECT_EQ(found(check_settled), 0u);
  history_.states.push_back({1, true, true, seconds(6), Nanos(0)});
  EXPECT_EQ(found(check_settled), 1u);
  history_.states.push_back({1, true, true, seconds(14), seconds(10)});
  EXPECT_EQ(found(check_settled), 1u) << "it may rest";
  history_.states.push_back({2, true, false, Nanos(0), Nanos(0)});
  history_.states.push_back({3, false, false, Nanos(0), Nanos(0)});
  EXPECT_EQ(found(check_settled), 3u);
}

// ---- limits ----

TEST_F(Checkers, LimitsTakeABurstAndTheRate) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1));
  for (int i = 1; i <= 10; ++i) charge(seconds(1) + milliseconds(100) * i);
  EXPECT_EQ(found_by_limits(), 0u);
  EXPECT_EQ(tally_.in_force[0], 1u);
  EXPECT_NEAR(tally_.fullest[0], 1, 0.001);
}
TEST_F(Checkers, LimitsSeeOneTooMany) {
  limit();
  for (int i = 0; i < 6; ++i) charge(seconds(1));
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeOneTooManyInTheMiddle) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1));
  for (int i = 1; i <= 10; ++i) charge(seconds(1) + milliseconds(100) * i);
  charge(milliseconds(2'050));
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsAllowWhatALossMakesUnknown) {
  limit();
  charge(seconds(1), 1, 0);
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(2), 1, 1);
  // Instance 0 knows of its own one alone, so 4 more may be admitted.
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(5), 2, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(seconds(1) + milliseconds(6), 2, 0);
  charge(seconds(1) + milliseconds(6), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeALossThatSomebodyKnewOf) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1) + milliseconds(2) * i, 1, 0);
  // The last check of this instance told it of all five.
  for (int i = 0; i < 3; ++i) charge(seconds(1) + milliseconds(20), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsKnowThatARefusalLeavesNothingInANewMemory) {
  limit();
  charge(seconds(1), 1, 0);
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(2), 1, 1);
  // Instance 1 knows of all five and is refused, but instance 0 knows of its own one alone.
  charge(seconds(1) + milliseconds(4), 2, 1).charged = false;
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(5), 2, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(seconds(1) + milliseconds(6), 2, 0);
  charge(seconds(1) + milliseconds(6), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsKnowThatAnEmptyMemoryTellsNothing) {
  limit();
  charge(seconds(1), 1, 0);
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(2), 1, 1);
  // Too much for what instance 0 knows of, which is no more after it.
  charge(seconds(1) + milliseconds(4), 2, 0).charged = false;
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(10), 2, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(seconds(1) + milliseconds(11), 2, 0);
  charge(seconds(1) + milliseconds(11), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeALossThatSomebodyKnewOfAfterARefusal) {
  limit();
  charge(seconds(1), 1, 0);
  for (int i = 1; i < 5; ++i) charge(seconds(1) + milliseconds(2) * i, 1, 1);
  // Instance 0 knows of its own one alone and is refused; it is instance 1 that is charged.
  charge(seconds(1) + milliseconds(15), 2, 0).charged = false;
  for (int i = 0; i < 3; ++i) charge(seconds(1) + milliseconds(20), 2, 1);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsAllowABurstToEachOfTwoMemoriesInUseAtATime) {
  limit();
  charge(milliseconds(500), 1, 0);
  for (int i = 0; i < 5; ++i) charge(seconds(1), 2, 1);
  for (int i = 0; i < 5; ++i) charge(milliseconds(1'001), 1, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(milliseconds(1'001), 1, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsAllowNoSecondBurstOnceTheOtherMemoryIsLeft) {
  limit();
  charge(milliseconds(500), 1, 0);
  charge(milliseconds(600), 2, 1);
  charge(milliseconds(601), 1, 0);
  for (int i = 0; i < 5; ++i) charge(seconds(2), 2, 1);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(seconds(2), 2, 1);
  EXPECT_GT(found_by_limits(), 0u);
}
// Instance 0 knows of all five, and what was put back has the key with the first one alone.
TEST_F(Checkers, LimitsAllowWhatWasChargedSinceAMemoryThatIsPutBack) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1) + milliseconds(i), 1, 0);
  history_.put_back.push_back({2, seconds(1) + milliseconds(1)});
  for (int i = 0; i < 4; ++i) charge(seconds(1) + milliseconds(9), 2, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  charge(seconds(1) + milliseconds(9), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsAllowAClockThatWasMoved) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1));
  history_.clock_moves.push_back({milliseconds(1'001), 0, 300'000});
  for (int i = 0; i < 3; ++i) charge(milliseconds(1'002)).clock_us = 1'301'999;
  EXPECT_EQ(found_by_limits(), 0u);
  charge(milliseconds(1'002)).clock_us = 1'301'999;
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsGoByWhatReallyPassedWhereAClockWasPutBack) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1));
  history_.clock_moves.push_back({milliseconds(1'001), 0, -200'000});
  for (int i = 0; i < 3; ++i) charge(milliseconds(1'300)).clock_us = 1'100'000;
  EXPECT_EQ(found_by_limits(), 0u);
  charge(milliseconds(1'300)).clock_us = 1'100'000;
  EXPECT_GT(found_by_limits(), 0u);
}
// Whoever asks while the clock is back has what is owed capped, though he is refused.
TEST_F(Checkers, LimitsKnowThatAClockWasPutBackBetweenTwoCharges) {
  limit();
  for (int i = 0; i < 5; ++i) charge(seconds(1));
  history_.clock_moves.push_back({milliseconds(1'001), 0, -400'000});
  Charge& refused = charge(milliseconds(1'002));
  refused.clock_us = 602'000;
  refused.charged = false;
  history_.clock_moves.push_back({milliseconds(1'003), 0, 400'000});
  for (int i = 0; i < 4; ++i) charge(milliseconds(1'004));
  EXPECT_EQ(found_by_limits(), 0u);
  charge(milliseconds(1'004));
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsTakeShares) {
  limit();
  for (int i = 0; i < 2; ++i) share(seconds(1), 3, 0);
  for (int i = 0; i < 2; ++i) share(seconds(1), 3, 1);
  EXPECT_EQ(found_by_limits(), 0u);
  share(seconds(1), 3, 1);
  EXPECT_GT(found_by_limits(), 0u);
}
// What instance 0 had charged by its share was in memory 1; instance 1, which knew nothing of it, was
// the first in memory 2.
TEST_F(Checkers, LimitsAllowAShareWhatALossMakesUnknown) {
  limit();
  for (int i = 0; i < 2; ++i) share(seconds(1), 3, 0);
  charge(milliseconds(1'250), 1, 0);
  charge(milliseconds(1'253), 2, 1);
  charge(milliseconds(1'255), 2, 0);
  for (int i = 0; i < 2; ++i) share(milliseconds(1'260), 3, 0);
  EXPECT_EQ(found_by_limits(), 0u);
  share(milliseconds(1'260), 3, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeAShareThatForgetsWhatItTellsANewMemory) {
  limit();
  for (int i = 0; i < 2; ++i) share(seconds(1), 3, 0);
  charge(milliseconds(1'250), 1, 0);
  charge(milliseconds(1'253), 2, 0);
  share(milliseconds(1'260), 3, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeAShareThatForgetsWhatItHadNotToldRedis) {
  limit();
  charge(milliseconds(900), 1, 0);
  for (int i = 0; i < 2; ++i) share(seconds(1), 3, 0);
  charge(milliseconds(1'253), 2, 1);
  charge(milliseconds(1'255), 2, 0);
  share(milliseconds(1'260), 3, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeThatSharesTogetherAreTooMuch) {
  limit();
  charge(seconds(1));
  for (int i = 0; i < 2; ++i) share(seconds(9), 4, 0);
  for (int i = 0; i < 2; ++i) share(seconds(9), 4, 1);
  for (int i = 0; i < 2; ++i) share(seconds(9), 4, 2);
  for (int i = 0; i < 2; ++i) share(seconds(9), 4, 3);
  EXPECT_EQ(found_by_limits(), 0u);
  EXPECT_EQ(tally_.in_force[static_cast<std::size_t>(LimitRow::degraded)], 1u);
  share(seconds(9), 4, 3);
  share(seconds(9), 4, 3);
  EXPECT_EQ(found_by_limits(), 2u) << "its own share, and all together";
}
TEST_F(Checkers, LimitsOfClassStrictTakeWhatMayHaveBeenApart) {
  limit();
  history_.limits.back().strict = true;
  const auto ask = [this](Nanos begun, Nanos ended) {
    add(Deed::check, begun, ended, 0, 0).cost = 1;
  };
  for (int i = 0; i < 5; ++i) ask(seconds(1), milliseconds(1'001));
  ask(milliseconds(999), milliseconds(1'101));  // One more may have been decided at the end of it.
  EXPECT_EQ(found_by_strict(), 0u);
  ask(seconds(1), milliseconds(1'050));
  EXPECT_EQ(found_by_strict(), 1u);
}
TEST_F(Checkers, LimitsSeeAShareThatForgetsWhatRedisSaid) {
  limit();
  charge(seconds(1));
  history_.operations.back().remaining = 0;
  share(milliseconds(1'010), 2, 0);
  EXPECT_EQ(found_by_limits(), 0u) << "burst/N is rounded up";
  share(milliseconds(1'010), 2, 0);
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeACheckThatReachedRedisTwice) {
  limit();
  charge(seconds(1));
  history_.charges.push_back(history_.charges.back());
  EXPECT_GT(found_by_limits(), 0u);
}
TEST_F(Checkers, LimitsSeeTwoServersUnderOneGeneration) {
  limit();
  charge(seconds(1));
  charge(seconds(2), 2).server = 1;
  charge(seconds(4), 2).server = 1;
  charge(seconds(6));
  EXPECT_EQ(found_by_limits(), 0u) << "what was on its way";
  charge(seconds(7), 2).server = 1;
  EXPECT_EQ(found_by_limits(), 1u);
}
TEST_F(Checkers, LimitsSeeWhoBelievesToBeAlone) {
  for (int second = 0; second < 20; ++second) {
    history_.samples.push_back({seconds(second), 0, true, 2});
    history_.samples.push_back({seconds(second), 1, true, 2});
  }
  EXPECT_EQ(found_by_limits(), 0u);
  history_.samples.back().believed = 1;
  EXPECT_EQ(found_by_limits(), 1u);
}

}  // namespace
}  // namespace redoubt::sim
