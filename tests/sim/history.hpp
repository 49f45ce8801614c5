// What the clients did and were told, and what the model Redis saw: the only thing the checkers look
// at, but for the final state.
//
// Threads: one.
#pragma once

#include "tests/sim/world.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sim {

enum class Deed : std::uint8_t {
  create,        // A session; object: its number.
  verify,        // value: the version that was seen.
  update,        // value: the version that it has now.
  revoke,
  revoke_all,    // object: the user; value: how many.
  make_key,      // An API key; object: its number.
  use_key,
  end_key,
  check,         // A limit; object: its number.
  get,           // Of the cache; object: the key; value: what the source had when it was filled.
  put,
  invalidate,    // value: what the source had before; everything up to it is over.
};
std::string_view deed_name(Deed deed);

enum class Outcome : std::uint8_t {
  ok,
  refused,  // Certainly not done: denied, invalid, unavailable.
  unknown,  // No answer, or one that says so.
};
std::string_view outcome_name(Outcome outcome);

struct Operation {
  Deed deed = Deed::verify;
  Outcome outcome = Outcome::unknown;
  bool degraded = false;     // A limit was decided by a share.
  bool unavailable = false;  // Refused because something is away, not because of the object.
  bool by_grace = false;     // A copy answered, because the record is away.
  bool held = false;         // Not recorded: what was to end, this process refuses it; what was
                             // invalidated, it does not show it.
  std::int8_t instance = 0;
  std::uint8_t run = 0;      // Of the instance.
  std::uint8_t tenant = 0;
  std::int32_t object = 0;
  std::int64_t value = 0;
  std::int64_t cost = 0;
  std::int64_t instances = 0;  // How many the instance believed in.
  std::int64_t remaining = 0;
  Nanos begun{0};
  Nanos ended{0};
};

// A limit that a Redis was asked to charge.
struct Charge {
  Nanos at{0};
  std::int64_t clock_us = 0;  // The server's.
  std::int64_t price_us = 0;
  std::int64_t tau_us = 0;
  std::uint64_t memory = 0;  // Which one: it changes when something is lost.
  std::int64_t generation = 0;
  std::int32_t limit = 0;
  std::int8_t server = 0;
  std::int8_t instance = 0;
  std::uint8_t run = 0;  // Of the instance.
  bool charged = false;
};

struct SessionFact {  // Of a session that a client has made.
  std::uint8_t tenant = 0;
  std::int32_t user = 0;
  std::string id;
};

struct KeyFact {  // Of an API key that a client has made.
  std::uint8_t tenant = 0;
  std::string id;
};

// What is in the record at the end.
struct FinalSession {
  std::int64_t version = 0;
  bool revoked = false;
};

struct LimitFact {
  std::string name;  // policy/subject
  std::int64_t limit = 1;
  std::int64_t burst = 1;
  std::int64_t period_us = 1;
  bool strict = false;
};

struct StateFact {  // Of one instance at the end.
  int instance = 0;
  bool ready = false;
  bool normal = false;
  Nanos normal_after{0};  // Since the heal.
  // What it may rest because it had flapped (shared/availability.hpp), or because the master was left
  // behind (shared/incarnation.hpp).
  Nanos rest{0};
  std::uint8_t run = 0;
};

struct ClockMove {  // Of a Redis, ahead.
  Nanos at{0};
  int server = 0;
  std::int64_t by_us = 0;
};

struct PutBack {  // A memory that began with what another one had at that time.
  std::uint64_t memory = 0;
  Nanos taken_at{0};
};

struct Sample {  // Taken of every instance twice a second.
  Nanos at{0};
  std::int8_t instance = 0;
  bool steady = false;         // It runs, and the record is within its reach.
  std::int64_t believed = 0;   // Instances.
};

// Whether the record was in reach of an instance that runs, from here on.
struct Reach {
  Nanos at{0};
  std::int8_t instance = 0;
  bool runs = false;  // And is not stopped.
  bool record = false;
};

struct History {
  std::vector<Operation> operations;  // In the order in which they ended.
  std::vector<Charge> charges;
  std::vector<SessionFact> sessions;
  std::vector<KeyFact> keys;
  std::vector<LimitFact> limits;
  std::map<std::string, FinalSession> final_sessions;  // By id.
  std::map<std::string, bool> final_keys;              // Whether they have ended.
  std::vector<StateFact> states;
  std::vector<ClockMove> clock_moves;
  std::vector<PutBack> put_back;
  std::vector<Sample> samples;
  std::vector<Reach> reach;  // In order; of each instance where it changed.
  std::vector<std::string> leaks;  // A value of one tenant in an answer to another.
  int instances = 0;
  Nanos auth_grace{0};
  bool wall_moved = false;  // Of an instance.
  Nanos healed_at{0};

  std::uint64_t digest() const;  // Of everything above: equal for equal runs.
};

std::string describe(const Operation& operation);
std::string describe(const Charge& charge, const LimitFact& limit);

}  // namespace redoubt::sim
