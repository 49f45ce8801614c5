// What is known of each Redis command by those who pass commands on for others: whether it reads or
// writes, whether it waits, whether it belongs to a connection of its own, who may send it, and
// which of its arguments are keys.
//
// The table covers Redis 2.6 to 8, Valkey, and the JSON commands. Key positions follow the command
// reference of Redis (COMMAND INFO), the movable ones the grammar of each command.
//
// Threads: pure functions. Cost: one binary search by name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace redoubt::wire {

enum class CommandFlag : std::uint16_t {
  read = 1 << 0,  // Changes nothing.
  write = 1 << 1,
  blocking = 1 << 2,    // Waits for something to happen.
  operators = 1 << 3,   // Of the whole server or its whole keyspace: administrators only.
  connection = 1 << 4,  // Changes or occupies the connection it is sent on.
  script = 1 << 5,      // Runs code, which may do anything to any key.
  enumerates = 1 << 6,  // Answers names of keys beyond those it was given.
  channels = 1 << 7,    // Its "keys" are channels.
  pairs = 1 << 8,       // RESP3 answers arrays of pairs where RESP2 answers them flat.
};

enum class KeyRule : std::uint8_t {
  none,
  range,    // first, first + step, ... up to last (from the end when negative)
  counted,  // a count at `first`, so many keys after it; and one more key at `last` unless 0
  streams,  // the first half of what follows STREAMS
  sort,     // first, the patterns of BY and GET, the destination of STORE
  radius,   // first, and the destinations of STORE and STOREDIST
};

struct RedisCommand {
  std::string_view name;  // Upper case.
  std::uint16_t flags = 0;
  KeyRule rule = KeyRule::none;
  std::int8_t first = 0;  // Of the arguments; 0 is the name.
  std::int8_t last = 0;
  std::int8_t step = 1;

  constexpr bool is(CommandFlag flag) const {
    return (flags & static_cast<std::uint16_t>(flag)) != 0;
  }
};

// By name, in any case. Null: not in the table.
const RedisCommand* find_redis_command(std::string_view name);

std::span<const RedisCommand> redis_commands();

// Appends the positions of the arguments that name keys (patterns of SORT, channels of PUBLISH and
// destinations included), rising. False when they cannot be told: a count that is no number or
// larger than the arguments, or STREAMS without its halves. Redis refuses those too.
bool key_positions(const RedisCommand& command, std::span<const std::string_view> arguments,
                   std::vector<std::size_t>& out);

// XREAD and XREADGROUP wait only when asked to.
bool would_block(const RedisCommand& command, std::span<const std::string_view> arguments);

}  // namespace redoubt::wire
