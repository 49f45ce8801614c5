// What the cache costs from memory: a hit, a miss and a put, at several numbers of entries.
//
//   cache_bench [entries]...
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "record/sqlite_record.hpp"
#include "services/cache/engine.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace redoubt {
namespace {

constexpr std::string_view kTenant = "acme";
constexpr int kCalls = 1'000'000;

// This thread's CPU nanoseconds of one call: other programs do not count.
template <class F>
double cost_ns(F&& call) {
  const auto used_ns = [] {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    const auto seconds = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    return seconds * 1e9 + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
  };
  const double before = used_ns();
  for (int i = 0; i < kCalls; ++i) call();
  return (used_ns() - before) / kCalls;
}

void measure(std::size_t entries) {
  SystemClock clock;
  SystemRandom random;
  Metrics metrics;
  CacheOptions options;
  options.entries_max = entries * 2;
  options.bytes_max = entries * 4'000 + (64u << 20);
  const auto record = record::open_sqlite_record({.path = std::string(record::kTemporary)}, clock,
                                                 null_log(), metrics);
  if (!record) std::abort();
  cache::CacheEngine engine(options, **record, clock, random, metrics);
  FastRandom picks(1);
  std::vector<CacheGet> gets(entries);
  for (std::size_t i = 0; i < entries; ++i) {
    gets[i].key = fmt::format("users:{}:profile", i);
    engine.put(kTenant, CachePut{.key = gets[i].key, .value = std::string(1'000, 'v')});
  }

  BootTime until;
  const double hit = cost_ns([&] {
    const CacheGet& get = gets[picks.next() % entries];
    const auto found = engine.get(engine.address(kTenant, get.key), get, nullptr, until);
    if (found->state != CacheState::hit) std::abort();
  });
  const CacheGet absent{.key = "nothing:here"};
  const double miss = cost_ns([&] {
    const auto found = engine.get(engine.address(kTenant, absent.key), absent, nullptr, until);
    if (found->state != CacheState::miss) std::abort();
  });
  const double put = cost_ns([&] {
    CachePut request{.key = gets[picks.next() % entries].key, .value = std::string(1'000, 'v')};
    engine.put(kTenant, std::move(request));
  });
  fmt::print("{:>9} entries of 1 kB: hit {:5.0f} ns, miss {:5.0f} ns, put {:5.0f} ns\n", entries,
             hit, miss, put);
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) redoubt::measure(std::strtoul(argv[i], nullptr, 10));
  if (argc == 1) {
    for (const std::size_t entries : {1'000u, 100'000u}) redoubt::measure(entries);
  }
}
