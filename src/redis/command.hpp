// A command for Redis, encoded as it is built, with what a router must know of it:
//
//   Command("SET").key(key).arg(value).arg("PX").arg(ttl_ms)
//   Command("MGET").key(a).key(b).read_only()
//
// key() marks an argument as a key: a cluster routes by it, and all keys of a command must be in
// one slot. A command without keys may go to any node.
//
// Cost: one allocation, grown as needed; sending copies the bytes once.
#pragma once

#include "wire/redis_slot.hpp"

#include <redoubt/clock.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::redis {

class Script;

// Whether the server will tell of the next change to what a command has read.
enum class Watched : std::uint8_t {
  no,     // Not this time.
  yes,    // TrackingHandler hears of it.
  never,  // It cannot, on this connection (tracking.hpp).
};

class Command {
 public:
  explicit Command(std::string_view name);

  Command& arg(std::string_view text) &;
  Command& arg(std::integral auto number) & {
    return arg_integer(static_cast<std::int64_t>(number));
  }
  Command& key(std::string_view key) &;
  // Reads only: may be sent again when its outcome is unknown.
  Command& read_only() & { return read_only_ = repeatable_ = true, *this; }
  // Changes something, but doing it twice is doing it once (SET without NX, DEL, PEXPIRE, a script
  // that says so): may be sent again when its outcome is unknown.
  Command& repeatable() & { return repeatable_ = true, *this; }
  // An error reply arrives as a Value of kind error, word for word, instead of as an Error.
  Command& raw() & { return raw_ = true, *this; }
  // What it reads is watched, if the server can; the outcome is known when there is a reply.
  // REQUIRES: keys; an outcome that outlives the call.
  Command& watch(Watched& outcome) & { return watched_ = &outcome, *this; }
  // Its own deadline instead of the client's.
  Command& within(Duration deadline) & { return deadline_ = deadline, *this; }

  Command&& arg(std::string_view text) && { return std::move(arg(text)); }
  Command&& arg(std::integral auto number) && { return std::move(arg(number)); }
  Command&& key(std::string_view text) && { return std::move(key(text)); }
  Command&& read_only() && { return std::move(read_only()); }
  Command&& repeatable() && { return std::move(repeatable()); }
  Command&& raw() && { return std::move(raw()); }
  Command&& watch(Watched& outcome) && { return std::move(watch(outcome)); }
  Command&& within(Duration deadline) && { return std::move(within(deadline)); }

  std::string_view name() const;                        // As given.
  std::size_t arguments() const { return arguments_; }  // The name included.
  // Of the keys; empty without keys.
  std::optional<std::uint16_t> slot() const;
  bool crosses_slots() const { return crosses_slots_; }
  bool is_read_only() const { return read_only_; }
  bool is_repeatable() const { return repeatable_; }
  bool is_raw() const { return raw_; }
  Watched* watched() const { return watched_; }    // Null: it is not asked for.
  Duration deadline() const { return deadline_; }  // 0: the client's.

  // The bytes to send. `whole_script`: as EVAL with the source, for a node that may not have it.
  void append_to(std::string& out, bool whole_script = false) const;
  std::size_t size() const;  // At most.
  const Script* script() const { return script_; }

 private:
  friend class Script;
  explicit Command(const Script& script);
  Command& arg_integer(std::int64_t number) &;

  static constexpr std::uint16_t kNoSlot = wire::kSlots;

  std::string encoded_;  // Every argument as a bulk string.
  const Script* script_ = nullptr;
  Watched* watched_ = nullptr;
  Duration deadline_{0};
  std::uint32_t arguments_ = 0;
  std::uint16_t slot_ = kNoSlot;
  bool crosses_slots_ = false;
  bool read_only_ = false;
  bool repeatable_ = false;
  bool raw_ = false;
};

}  // namespace redoubt::redis
