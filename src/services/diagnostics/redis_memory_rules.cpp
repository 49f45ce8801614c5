#include "services/diagnostics/redis_rules.hpp"

#include <fmt/format.h>

#include <array>

namespace redoubt::diagnostics {
namespace {

using enum Severity;

constexpr double kNearlyFull = 0.9;
constexpr double kMachineShare = 0.9;
constexpr double kFragmented = 1.5;
constexpr double kSwapped = 0.8;
constexpr std::int64_t kEnoughToJudge = 64 << 20;  // Ratios of a small heap say nothing.

double mebibytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// Of the bound; 0 when there is none, or it is not told.
double fullness(const shared::RedisMemoryFacts& memory) {
  if (!memory.used_bytes || memory.max_bytes.value_or(0) <= 0) return 0;
  return static_cast<double>(*memory.used_bytes) / static_cast<double>(*memory.max_bytes);
}

RedisSeen unbounded(const RedisCase& c) {
  if (c.facts.memory.max_bytes != 0) return std::nullopt;
  return Seen{"maxmemory is 0: Redis takes what it can get"};
}

RedisSeen nearly_full(const RedisCase& c) {
  const double used = fullness(c.facts.memory);
  if (used < kNearlyFull || used >= 1) return std::nullopt;
  return Seen{fmt::format("{:.0f} % of maxmemory are in use ({:.0f} of {:.0f} MiB)", used * 100,
                          mebibytes(*c.facts.memory.used_bytes),
                          mebibytes(*c.facts.memory.max_bytes))};
}

RedisSeen full(const RedisCase& c) {
  for (const shared::OperationTimes& one : c.facts.operations) {
    if (one.error.contains("OOM")) return Seen{"Redis refuses writes: " + one.error};
  }
  return std::nullopt;
}

RedisSeen over_machine(const RedisCase& c) {
  const auto& memory = c.facts.memory;
  if (!memory.machine_bytes || *memory.machine_bytes <= 0) return std::nullopt;
  const double bound = static_cast<double>(memory.max_bytes.value_or(0));
  if (bound <= kMachineShare * static_cast<double>(*memory.machine_bytes)) return std::nullopt;
  return Seen{fmt::format("maxmemory is {:.0f} MiB, and the machine has {:.0f} MiB",
                          mebibytes(*memory.max_bytes), mebibytes(*memory.machine_bytes))};
}

RedisSeen evicts_all(const RedisCase& c) {
  const auto& policy = c.facts.memory.policy;
  const bool used = c.setup.limits || c.setup.copies;
  if (!policy || !policy->starts_with("allkeys-") || !used) return std::nullopt;
  const std::string_view what = c.setup.limits && c.setup.copies ? "limits and copies"
                                : c.setup.limits                 ? "limits"
                                                                 : "copies";
  return Seen{fmt::format("the eviction policy is {}, and {} are kept there", *policy, what)};
}

RedisSeen evicts_nothing(const RedisCase& c) {
  const auto& memory = c.facts.memory;
  const bool seen = memory.policy == "noeviction" && memory.max_bytes.value_or(0) > 0 &&
                    (c.setup.copies || c.setup.limits);
  if (!seen) return std::nullopt;
  return Seen{"the eviction policy is noeviction: when memory is full, writes are refused"};
}

RedisSeen fragmented(const RedisCase& c) {
  const auto& memory = c.facts.memory;
  const bool enough = memory.used_bytes.value_or(0) >= kEnoughToJudge;
  if (!enough || memory.fragmentation.value_or(0) <= kFragmented) return std::nullopt;
  return Seen{
      fmt::format("Redis occupies {:.1f} times the memory that it uses", *memory.fragmentation)};
}

RedisSeen swapped(const RedisCase& c) {
  const auto& memory = c.facts.memory;
  const bool enough = memory.used_bytes.value_or(0) >= kEnoughToJudge;
  if (!enough || memory.fragmentation.value_or(1) >= kSwapped) return std::nullopt;
  return Seen{
      fmt::format("only {:.0f} % of what Redis uses is in memory", *memory.fragmentation * 100)};
}

RedisSeen evictions(const RedisCase& c) {
  const auto evicted = c.facts.use.evicted_keys.value_or(0);
  if (evicted == 0) return std::nullopt;
  return Seen{fmt::format("{} keys were evicted since the server started", evicted)};
}

RedisSeen foreign_keys(const RedisCase& c) {
  const auto foreign = c.facts.use.keys_foreign.value_or(0);
  if (foreign == 0) return std::nullopt;
  return Seen{fmt::format("of {} keys looked at, {} are other programs'",
                          c.facts.use.keys_looked.value_or(foreign), foreign)};
}

constexpr std::array kRules{
    RedisRule{{"redis_memory_unbounded", warning, "Redis has no bound of memory.",
               "It grows until the kernel kills it, and everything in it is gone at once.",
               "redis-cli CONFIG SET maxmemory 256mb, CONFIG SET maxmemory-policy volatile-lru, "
               "CONFIG REWRITE"},
              unbounded},
    RedisRule{{"redis_memory_nearly_full", warning, "More than 90 % of maxmemory is in use.",
               "Next, keys are evicted or writes refused, as the policy says.",
               "redis-cli CONFIG SET maxmemory <more>; redis-cli --bigkeys shows what takes it"},
              nearly_full},
    RedisRule{{"redis_memory_full", critical, "Redis refuses writes for lack of memory.",
               "Limits are counted per instance and no copy is stored.",
               "redis-cli CONFIG SET maxmemory <more>, CONFIG SET maxmemory-policy volatile-lru"},
              full},
    RedisRule{{"redis_memory_over_machine", warning,
               "maxmemory is more than nine tenths of the machine's memory.",
               "The bound comes too late: snapshots and the kernel need memory too.",
               "redis-cli CONFIG SET maxmemory <at most half of the machine's>"},
              over_machine},
    RedisRule{
        {"redis_policy_allkeys", warning, "Any key may be evicted, limits among them.",
         "An evicted limit is put back from what each instance remembers, and admits a little "
         "more meanwhile; an evicted copy is a miss. With volatile-lru our copies go before "
         "other programs' lasting keys do.",
         "redis-cli CONFIG SET maxmemory-policy volatile-lru, CONFIG REWRITE"},
        evicts_all},
    RedisRule{{"redis_policy_noeviction", info, "Nothing is evicted; a full Redis refuses writes.",
               "Then limits are counted per instance and no copy is stored until keys expire.",
               "redis-cli CONFIG SET maxmemory-policy volatile-lru, CONFIG REWRITE"},
              evicts_nothing},
    RedisRule{{"redis_fragmentation", warning, "Memory is fragmented.",
               "Redis takes much more memory than maxmemory says.",
               "redis-cli CONFIG SET activedefrag yes, or a restart"},
              fragmented},
    RedisRule{{"redis_swapped", warning, "Part of Redis' memory is swapped out.",
               "Commands wait for the disk, and miss our deadline.",
               "redis-cli CONFIG SET maxmemory <less than the machine has free>"},
              swapped},
    RedisRule{{"redis_evictions", warning, "Keys were evicted (evicted_keys > 0).",
               "Memory is too small for what is kept: copies are misses that need not be.",
               "redis-cli CONFIG SET maxmemory <more>; CONFIG RESETSTAT starts the count anew"},
              evictions},
    RedisRule{{"redis_foreign_keys", warning, "Other programs keep keys in this database.",
               "They share memory, evictions and FLUSHDB with us.",
               "REDIS_DATABASE=<a number of its own>, or a Redis of its own"},
              foreign_keys},
};

}  // namespace

std::span<const RedisRule> redis_memory_rules() {
  return kRules;
}

}  // namespace redoubt::diagnostics
