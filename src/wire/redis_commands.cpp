#include "wire/redis_commands.hpp"

#include "wire/http1.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace redoubt::wire {
namespace {

constexpr auto R = static_cast<std::uint16_t>(CommandFlag::read);
constexpr auto W = static_cast<std::uint16_t>(CommandFlag::write);
constexpr auto B = static_cast<std::uint16_t>(CommandFlag::blocking);
constexpr auto A = static_cast<std::uint16_t>(CommandFlag::operators);
constexpr auto C = static_cast<std::uint16_t>(CommandFlag::connection);
constexpr auto S = static_cast<std::uint16_t>(CommandFlag::script);
constexpr auto E = static_cast<std::uint16_t>(CommandFlag::enumerates);
constexpr auto N = static_cast<std::uint16_t>(CommandFlag::channels);
constexpr auto P = static_cast<std::uint16_t>(CommandFlag::pairs);

constexpr RedisCommand plain(std::string_view name, int flags) {
  return {.name = name, .flags = static_cast<std::uint16_t>(flags)};
}
constexpr RedisCommand keys(std::string_view name, int flags, int first = 1, int last = 1,
                            int step = 1) {
  return {.name = name,
          .flags = static_cast<std::uint16_t>(flags),
          .rule = KeyRule::range,
          .first = static_cast<std::int8_t>(first),
          .last = static_cast<std::int8_t>(last),
          .step = static_cast<std::int8_t>(step)};
}
constexpr RedisCommand counted(std::string_view name, int flags, int at, int destination = 0) {
  return {.name = name,
          .flags = static_cast<std::uint16_t>(flags),
          .rule = KeyRule::counted,
          .first = static_cast<std::int8_t>(at),
          .last = static_cast<std::int8_t>(destination)};
}
constexpr RedisCommand moving(std::string_view name, int flags, KeyRule rule) {
  return {.name = name,
          .flags = static_cast<std::uint16_t>(flags),
          .rule = rule,
          .first = 1,
          .last = 1};
}

constexpr std::array kCommands = std::to_array<RedisCommand>({
    plain("ACL", A),
    keys("APPEND", W),
    plain("ASKING", C),
    plain("AUTH", C),
    plain("BGREWRITEAOF", A),
    plain("BGSAVE", A),
    keys("BITCOUNT", R),
    keys("BITFIELD", W),
    keys("BITFIELD_RO", R),
    keys("BITOP", W, 2, -1),
    keys("BITPOS", R),
    keys("BLMOVE", W | B, 1, 2),
    counted("BLMPOP", W | B, 2),
    keys("BLPOP", W | B, 1, -2),
    keys("BRPOP", W | B, 1, -2),
    keys("BRPOPLPUSH", W | B, 1, 2),
    counted("BZMPOP", W | B, 2),
    keys("BZPOPMAX", W | B, 1, -2),
    keys("BZPOPMIN", W | B, 1, -2),
    plain("CLIENT", C),
    plain("CLUSTER", A),
    plain("COMMAND", R),
    plain("CONFIG", A),
    keys("COPY", W, 1, 2),
    plain("DBSIZE", R),
    plain("DEBUG", A),
    keys("DECR", W),
    keys("DECRBY", W),
    keys("DEL", W, 1, -1),
    plain("DISCARD", C),
    keys("DUMP", R),
    plain("ECHO", R),
    counted("EVAL", W | S, 2),
    counted("EVALSHA", W | S, 2),
    counted("EVALSHA_RO", R | S, 2),
    counted("EVAL_RO", R | S, 2),
    plain("EXEC", C),
    keys("EXISTS", R, 1, -1),
    keys("EXPIRE", W),
    keys("EXPIREAT", W),
    keys("EXPIRETIME", R),
    plain("FAILOVER", A),
    counted("FCALL", W | S, 2),
    counted("FCALL_RO", R | S, 2),
    plain("FLUSHALL", W | A),
    plain("FLUSHDB", W | A),
    plain("FUNCTION", A),
    keys("GEOADD", W),
    keys("GEODIST", R),
    keys("GEOHASH", R),
    keys("GEOPOS", R),
    moving("GEORADIUS", W, KeyRule::radius),
    moving("GEORADIUSBYMEMBER", W, KeyRule::radius),
    keys("GEORADIUSBYMEMBER_RO", R),
    keys("GEORADIUS_RO", R),
    keys("GEOSEARCH", R),
    keys("GEOSEARCHSTORE", W, 1, 2),
    keys("GET", R),
    keys("GETBIT", R),
    keys("GETDEL", W),
    keys("GETEX", W),
    keys("GETRANGE", R),
    keys("GETSET", W),
    keys("HDEL", W),
    plain("HELLO", C),
    keys("HEXISTS", R),
    keys("HEXPIRE", W),
    keys("HEXPIREAT", W),
    keys("HEXPIRETIME", R),
    keys("HGET", R),
    keys("HGETALL", R),
    keys("HGETDEL", W),
    keys("HGETEX", W),
    keys("HINCRBY", W),
    keys("HINCRBYFLOAT", W),
    keys("HKEYS", R),
    keys("HLEN", R),
    keys("HMGET", R),
    keys("HMSET", W),
    keys("HPERSIST", W),
    keys("HPEXPIRE", W),
    keys("HPEXPIREAT", W),
    keys("HPEXPIRETIME", R),
    keys("HPTTL", R),
    keys("HRANDFIELD", R | P),
    keys("HSCAN", R),
    keys("HSET", W),
    keys("HSETEX", W),
    keys("HSETNX", W),
    keys("HSTRLEN", R),
    keys("HTTL", R),
    keys("HVALS", R),
    keys("INCR", W),
    keys("INCRBY", W),
    keys("INCRBYFLOAT", W),
    plain("INFO", R | A),
    keys("JSON.ARRAPPEND", W),
    keys("JSON.ARRINDEX", R),
    keys("JSON.ARRINSERT", W),
    keys("JSON.ARRLEN", R),
    keys("JSON.ARRPOP", W),
    keys("JSON.ARRTRIM", W),
    keys("JSON.CLEAR", W),
    keys("JSON.DEL", W),
    keys("JSON.FORGET", W),
    keys("JSON.GET", R),
    keys("JSON.MERGE", W),
    keys("JSON.MGET", R, 1, -2),
    keys("JSON.MSET", W, 1, -1, 3),
    keys("JSON.NUMINCRBY", W),
    keys("JSON.NUMMULTBY", W),
    keys("JSON.OBJKEYS", R),
    keys("JSON.OBJLEN", R),
    keys("JSON.RESP", R),
    keys("JSON.SET", W),
    keys("JSON.STRAPPEND", W),
    keys("JSON.STRLEN", R),
    keys("JSON.TOGGLE", W),
    keys("JSON.TYPE", R),
    plain("KEYS", R | A | E),
    plain("LASTSAVE", R | A),
    plain("LATENCY", A),
    keys("LCS", R, 1, 2),
    keys("LINDEX", R),
    keys("LINSERT", W),
    keys("LLEN", R),
    keys("LMOVE", W, 1, 2),
    counted("LMPOP", W, 1),
    plain("LOLWUT", R),
    keys("LPOP", W),
    keys("LPOS", R),
    keys("LPUSH", W),
    keys("LPUSHX", W),
    keys("LRANGE", R),
    keys("LREM", W),
    keys("LSET", W),
    keys("LTRIM", W),
    keys("MEMORY", A, 2, 2),
    keys("MGET", R, 1, -1),
    plain("MIGRATE", W | A),
    plain("MODULE", A),
    plain("MONITOR", C | A),
    keys("MOVE", W | A),
    keys("MSET", W, 1, -1, 2),
    counted("MSETEX", W, 1),
    keys("MSETNX", W, 1, -1, 2),
    plain("MULTI", C),
    keys("OBJECT", R, 2, 2),
    keys("PERSIST", W),
    keys("PEXPIRE", W),
    keys("PEXPIREAT", W),
    keys("PEXPIRETIME", R),
    keys("PFADD", W),
    keys("PFCOUNT", R, 1, -1),
    plain("PFDEBUG", W | A),
    keys("PFMERGE", W, 1, -1),
    plain("PFSELFTEST", A),
    plain("PING", R),
    keys("PSETEX", W),
    plain("PSUBSCRIBE", C | N),
    plain("PSYNC", C | A),
    keys("PTTL", R),
    keys("PUBLISH", W | N),
    plain("PUBSUB", R | N | E),
    plain("PUNSUBSCRIBE", C | N),
    plain("QUIT", C),
    plain("RANDOMKEY", R | E),
    plain("READONLY", C),
    plain("READWRITE", C),
    keys("RENAME", W, 1, 2),
    keys("RENAMENX", W, 1, 2),
    plain("REPLCONF", C | A),
    plain("REPLICAOF", A),
    plain("RESET", C),
    keys("RESTORE", W),
    plain("RESTORE-ASKING", C | A),
    plain("ROLE", R | A),
    keys("RPOP", W),
    keys("RPOPLPUSH", W, 1, 2),
    keys("RPUSH", W),
    keys("RPUSHX", W),
    keys("SADD", W),
    plain("SAVE", A),
    plain("SCAN", R | E),
    keys("SCARD", R),
    plain("SCRIPT", A),
    keys("SDIFF", R, 1, -1),
    keys("SDIFFSTORE", W, 1, -1),
    plain("SELECT", C),
    keys("SET", W),
    keys("SETBIT", W),
    keys("SETEX", W),
    keys("SETNX", W),
    keys("SETRANGE", W),
    plain("SHUTDOWN", C | A),
    keys("SINTER", R, 1, -1),
    counted("SINTERCARD", R, 1),
    keys("SINTERSTORE", W, 1, -1),
    keys("SISMEMBER", R),
    plain("SLAVEOF", A),
    plain("SLOWLOG", A),
    keys("SMEMBERS", R),
    keys("SMISMEMBER", R),
    keys("SMOVE", W, 1, 2),
    moving("SORT", W, KeyRule::sort),
    moving("SORT_RO", R, KeyRule::sort),
    keys("SPOP", W),
    keys("SPUBLISH", W | N),
    keys("SRANDMEMBER", R),
    keys("SREM", W),
    keys("SSCAN", R),
    plain("SSUBSCRIBE", C | N),
    keys("STRLEN", R),
    plain("SUBSCRIBE", C | N),
    keys("SUBSTR", R),
    keys("SUNION", R, 1, -1),
    keys("SUNIONSTORE", W, 1, -1),
    plain("SUNSUBSCRIBE", C | N),
    plain("SWAPDB", W | A),
    plain("SYNC", C | A),
    plain("TIME", R),
    keys("TOUCH", R, 1, -1),
    keys("TTL", R),
    keys("TYPE", R),
    keys("UNLINK", W, 1, -1),
    plain("UNSUBSCRIBE", C | N),
    plain("UNWATCH", C),
    plain("WAIT", B),
    plain("WAITAOF", B),
    plain("WATCH", C),
    keys("XACK", W),
    keys("XACKDEL", W),
    keys("XADD", W),
    keys("XAUTOCLAIM", W),
    keys("XCLAIM", W),
    keys("XDEL", W),
    keys("XDELEX", W),
    keys("XGROUP", W, 2, 2),
    keys("XINFO", R, 2, 2),
    keys("XLEN", R),
    keys("XPENDING", R),
    keys("XRANGE", R),
    moving("XREAD", R, KeyRule::streams),
    moving("XREADGROUP", W, KeyRule::streams),
    keys("XREVRANGE", R),
    keys("XSETID", W),
    keys("XTRIM", W),
    keys("ZADD", W),
    keys("ZCARD", R),
    keys("ZCOUNT", R),
    counted("ZDIFF", R | P, 1),
    counted("ZDIFFSTORE", W, 2, 1),
    keys("ZINCRBY", W),
    counted("ZINTER", R | P, 1),
    counted("ZINTERCARD", R, 1),
    counted("ZINTERSTORE", W, 2, 1),
    keys("ZLEXCOUNT", R),
    counted("ZMPOP", W, 1),
    keys("ZMSCORE", R),
    keys("ZPOPMAX", W | P),
    keys("ZPOPMIN", W | P),
    keys("ZRANDMEMBER", R | P),
    keys("ZRANGE", R | P),
    keys("ZRANGEBYLEX", R),
    keys("ZRANGEBYSCORE", R | P),
    keys("ZRANGESTORE", W, 1, 2),
    keys("ZRANK", R),
    keys("ZREM", W),
    keys("ZREMRANGEBYLEX", W),
    keys("ZREMRANGEBYRANK", W),
    keys("ZREMRANGEBYSCORE", W),
    keys("ZREVRANGE", R | P),
    keys("ZREVRANGEBYLEX", R),
    keys("ZREVRANGEBYSCORE", R | P),
    keys("ZREVRANK", R),
    keys("ZSCAN", R),
    keys("ZSCORE", R),
    counted("ZUNION", R | P, 1),
    counted("ZUNIONSTORE", W, 2, 1),
});

constexpr auto by_name = [](const RedisCommand& a, const RedisCommand& b) {
  return a.name < b.name;
};
static_assert(std::ranges::is_sorted(kCommands, by_name));

constexpr std::size_t kNameMax = 24;

using Arguments = std::span<const std::string_view>;

bool says(std::string_view word, std::string_view lower) {
  return ascii_iequals(word, lower);
}

bool range_positions(const RedisCommand& command, Arguments arguments,
                     std::vector<std::size_t>& out) {
  const auto size = static_cast<std::ptrdiff_t>(arguments.size());
  const std::ptrdiff_t last = command.last < 0 ? size + command.last : command.last;
  for (std::ptrdiff_t i = command.first; i <= last && i < size; i += command.step) {
    out.push_back(static_cast<std::size_t>(i));
  }
  return true;
}

bool counted_positions(const RedisCommand& command, Arguments arguments,
                       std::vector<std::size_t>& out) {
  const auto at = static_cast<std::size_t>(command.first);
  if (arguments.size() <= at) return false;
  const std::string_view text = arguments[at];
  std::size_t count = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (ec != std::errc() || end != text.data() + text.size()) return false;
  // MSETEX counts pairs of a key and a value.
  const std::size_t step = command.name == "MSETEX" ? 2 : 1;
  if (count > (arguments.size() - at - 1) / step) return false;
  if (command.last > 0) out.push_back(static_cast<std::size_t>(command.last));
  for (std::size_t i = 0; i < count; ++i) out.push_back(at + 1 + i * step);
  return true;
}

bool stream_positions(Arguments arguments, std::vector<std::size_t>& out) {
  // The options in front take values, and a group or consumer may be called "streams".
  std::size_t i = 1;
  while (i < arguments.size() && !says(arguments[i], "streams")) {
    if (says(arguments[i], "group")) {
      i += 3;
    } else if (says(arguments[i], "count") || says(arguments[i], "block") ||
               says(arguments[i], "claim")) {
      i += 2;
    } else {
      ++i;
    }
  }
  if (i >= arguments.size()) return false;
  const std::size_t rest = arguments.size() - i - 1;
  if (rest == 0 || rest % 2 != 0) return false;
  for (std::size_t k = 0; k < rest / 2; ++k) out.push_back(i + 1 + k);
  return true;
}

// A pattern that names no key: BY nosort (any text without *) and GET #.
bool sort_positions(Arguments arguments, std::vector<std::size_t>& out) {
  if (arguments.size() > 1) out.push_back(1);
  std::size_t i = 2;
  while (i < arguments.size()) {
    if (says(arguments[i], "limit")) {
      i += 3;
      continue;
    }
    const bool by = says(arguments[i], "by");
    const bool get = says(arguments[i], "get");
    if (!by && !get && !says(arguments[i], "store")) {
      ++i;
      continue;
    }
    if (i + 1 >= arguments.size()) return false;
    const std::string_view value = arguments[i + 1];
    const bool keyless = (by && value.find('*') == std::string_view::npos) || (get && value == "#");
    if (!keyless) out.push_back(i + 1);
    i += 2;
  }
  return true;
}

bool radius_positions(Arguments arguments, std::vector<std::size_t>& out) {
  if (arguments.size() > 1) out.push_back(1);
  for (std::size_t i = 2; i + 1 < arguments.size(); ++i) {
    if (says(arguments[i], "store") || says(arguments[i], "storedist")) out.push_back(++i);
  }
  return true;
}

}  // namespace

const RedisCommand* find_redis_command(std::string_view name) {
  if (name.empty() || name.size() > kNameMax) return nullptr;
  std::array<char, kNameMax> upper;
  std::ranges::transform(name, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const std::string_view wanted(upper.data(), name.size());
  const auto it = std::ranges::lower_bound(kCommands, wanted, {}, &RedisCommand::name);
  return it != kCommands.end() && it->name == wanted ? &*it : nullptr;
}

std::span<const RedisCommand> redis_commands() {
  return kCommands;
}

bool key_positions(const RedisCommand& command, Arguments arguments,
                   std::vector<std::size_t>& out) {
  switch (command.rule) {
    case KeyRule::none:
      return true;
    case KeyRule::range:
      return range_positions(command, arguments, out);
    case KeyRule::counted:
      return counted_positions(command, arguments, out);
    case KeyRule::streams:
      return stream_positions(arguments, out);
    case KeyRule::sort:
      return sort_positions(arguments, out);
    case KeyRule::radius:
      return radius_positions(arguments, out);
  }
  return false;
}

bool would_block(const RedisCommand& command, Arguments arguments) {
  if (command.is(CommandFlag::blocking)) return true;
  if (command.rule != KeyRule::streams) return false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (says(arguments[i], "streams")) return false;
    if (says(arguments[i], "group")) {
      i += 2;
    } else if (says(arguments[i], "block")) {
      return true;
    }
  }
  return false;
}

}  // namespace redoubt::wire
