// Which Redis this is: whose, and since when it is the same.
//
// Redis may come back empty, with half of what it had, or as a replica that never had it. So the
// record remembers the server that keys were written to, and Redis carries a mark, rd:inc, that
// says whose it is. While both agree, keys live under one generation. When the server is another
// process, another replica, or has lost its mark, the generation moves on: everything older is out
// of reach at once, and what Redis forgot or brought back is no more than a miss.
//
// A server that was left behind is retired: else both sides of a fork would take turns. Whoever uses
// the one that took its place says so in the record every few seconds; only when nobody has done so
// for a while is a retired one taken again, under a generation of its own. (Of two failovers in a
// row, who hears of the first one late may have retired the master that stays.) One compare-and-set
// in the record decides between instances that see it differently.
//
//   rd:inc := "redoubt1" SP <identity of the record> SP <generation> SP <nonce>
//
// Pure functions, but for the interface of the place in the record where this is kept.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/error.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::shared {

// What the record knows.
struct Incarnation {
  std::int64_t generation = 0;  // 0: no Redis was ever used.
  std::int64_t era = 0;         // eras.hpp
  std::string server;           // The process behind it; empty when it does not say.
  std::string nonce;
  std::vector<std::string> retired;  // Servers, the latest last.
  std::int64_t confirmations = 0;    // Moves while `server` is in use.

  friend bool operator==(const Incarnation&, const Incarnation&) = default;
};

inline constexpr std::size_t kRetiredMax = 64;

inline constexpr Duration kConfirmEvery{3'000};  // Of all instances together.
inline constexpr Duration kUnusedAfter{10'000};  // Without a confirmation.

// A JSON object. Errors: internal, for what is none of ours.
std::string encode_incarnation(const Incarnation& incarnation);
Result<Incarnation> decode_incarnation(std::string_view text);

struct Page {
  std::int64_t revision = 0;  // Grows with every change.
  Incarnation incarnation;
};

// Where the record keeps it. Errors: those of the record.
class Ledger {
 public:
  virtual ~Ledger() = default;
  // The identity of the record, made at the first call ever.
  virtual Task<std::string> identity() = 0;
  virtual Task<Page> read() = 0;
  // False when `revision` is not the current one any more.
  virtual Task<bool> replace(std::int64_t revision, Incarnation next) = 0;
};

struct Mark {
  std::string record;
  std::int64_t generation = 0;
  std::string nonce;

  friend bool operator==(const Mark&, const Mark&) = default;
};
std::string encode_mark(const Mark& mark);
std::optional<Mark> decode_mark(std::string_view text);

// What a look at Redis showed.
struct Sight {
  std::string server;               // Empty: it does not say.
  std::optional<std::string> mark;  // The value of rd:inc.
};

enum class Verdict : std::uint8_t {
  same,            // As the record says.
  unmarked,        // The right server without the right mark: perhaps it is being written.
  another,         // Another server, or a Redis that never was used: the generation moves on.
  retired,         // Left behind before: only when nobody uses the one after it.
  another_record,  // Somebody else's.
};
Verdict judge(const Incarnation& known, std::string_view record, const Sight& sight);

// What the record is to say when the generation moves on.
Incarnation next_incarnation(const Incarnation& known, const Sight& sight, std::string nonce);

// "redis_of_another_record": a sentence that says what to change.
Error another_record(std::string_view ours, const std::optional<std::string>& mark);

}  // namespace redoubt::shared
