// What an error reply of Redis means: the table of replies, in one function.
//
//   reply                       meaning                 action
//   MOVED slot host:port        slot lives elsewhere    once more there; refresh the map from it
//   ASK slot host:port          slot is moving          ASKING and the command there, once
//   TRYAGAIN                    keys are on both sides  again after a short wait, three times
//   CLUSTERDOWN, MASTERDOWN,
//   NOREPLICAS                  no safe writes          refused, for certain
//   LOADING                     restarting              refused, for certain
//   BUSY                        a script runs long      refused; never SCRIPT KILL: not ours
//   READONLY                    demoted                 refused; close, find the master again
//   OOM, MISCONF                memory or disk full     writes are refused, reads go on
//   NOSCRIPT                    script cache emptied    EVAL once
//   NOAUTH, WRONGPASS, NOPERM,
//   DENIED                      configuration           refused; back off 5 s, alarm
//   EXECABORT                   transaction discarded   refused, for certain
//   CROSSSLOT                   the caller's mistake    error
//   WRONGTYPE, ERR, all others  a bug or foreign key    error: counted, treated as a miss
//
// An error that a script of Redis 6.2 wraps ("ERR Error running script ... -OOM ...") means what it
// wraps.
//
// Pure functions. Every row says what happened to the command: all of them say that it was not
// executed, but for `error`, where a script or a transaction may have done part of its work.
#pragma once

#include "redis/options.hpp"

#include <redoubt/error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace redoubt::redis {

enum class Meaning : std::uint8_t {
  moved,
  ask,
  try_again,
  no_safe_writes,
  loading,
  busy,
  read_only,
  full,
  no_script,
  denied,
  discarded,
  cross_slot,
  error,
};
inline constexpr std::size_t kMeanings = 13;

std::string_view name_of(Meaning meaning);  // As above: "moved". For metrics and the log.

struct Redirect {
  std::uint16_t slot = 0;
  Endpoint endpoint;  // An empty host: the one that answered.
};

Meaning classify(std::string_view reply);

// Of a MOVED or ASK; empty when it cannot be read.
std::optional<Redirect> parse_redirect(std::string_view reply);

// The Error of a reply. Its cause is the reply, which may carry keys: for the log.
Error to_error(std::string_view reply);

// Our credentials or our rights are refused: an operator mends that, not another attempt.
inline bool is_denied(const Error& error) {
  return error.slug == "redis_denied";
}

}  // namespace redoubt::redis
