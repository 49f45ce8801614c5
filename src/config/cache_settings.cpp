#include "config/setting.hpp"

#include <algorithm>
#include <chrono>

namespace redoubt::config {
namespace {

constexpr std::size_t kBytesPerEntry =
    640;  // An answer of a few hundred bytes and its bookkeeping.
constexpr std::size_t kEntriesMin = 1000;
constexpr std::size_t kBytesDefault = 64u << 20;

// CACHE_MEMORY_SIZE: a bare number counts entries, as other systems use the name; with a unit it is
// memory. The bound that is not given follows from the other.
struct MemorySize {
  std::size_t bytes;
  std::size_t entries;
};

std::size_t entries_for(std::size_t bytes) {
  return std::max(kEntriesMin, bytes / kBytesPerEntry);
}

Parsed<MemorySize> parse_memory_size(std::string_view text) {
  if (parse_int(text)) {
    const auto entries = integer_in(text, 1, 1'000'000'000);
    if (!entries) return wrong(entries.error());
    return MemorySize{kBytesDefault, static_cast<std::size_t>(*entries)};
  }
  const auto bytes = size_in(text, 1u << 20, 1ull << 40);
  if (!bytes) return wrong(bytes.error());
  return MemorySize{*bytes, entries_for(*bytes)};
}

Setting memory_size_setting() {
  Setting row;
  row.name = {"cache.memory_size",
              {"CACHE_MEMORY_SIZE"},
              "How much the cache keeps in memory: 256mb is memory, 1000 is entries (in 64mb)."};
  row.accepts = "1mb to 1024gb, or a number of entries";
  row.set = [](Config& config, std::string_view text) -> Parsed<void> {
    const auto size = parse_memory_size(text);
    if (!size) return wrong(size.error());
    config.cache.bytes_max = size->bytes;
    config.cache.entries_max = size->entries;
    return {};
  };
  row.show = [](const Config& config) {
    const auto& cache = config.cache;
    if (cache.entries_max != entries_for(cache.bytes_max)) return std::to_string(cache.entries_max);
    const auto size = format_size(cache.bytes_max);
    return parse_int(size) ? size + "b" : size;  // Or it would read as a number of entries.
  };
  return row;
}

}  // namespace

std::vector<Setting> cache_settings() {
  using namespace std::chrono_literals;
  const auto cache = [](auto field) { return at(&Config::cache, field); };
  return {
      memory_size_setting(),
      duration_setting({"cache.default_ttl",
                        {"CACHE_DEFAULT_TTL"},
                        "How long an entry is fresh when whoever sets it does not say."},
                       1s, 24h * 365, cache(&CacheSettings::default_ttl)),
      size_setting({"cache.value_max", {"REDOUBT_CACHE_VALUE_MAX"}, "The longest value."}, 1u << 10,
                   64u << 20, cache(&CacheSettings::value_bytes_max)),
      size_setting({"cache.tenant_max",
                    {"REDOUBT_CACHE_TENANT_MAX"},
                    "Memory that one tenant's entries may take; 0: as much as there is."},
                   0, 1ull << 40, cache(&CacheSettings::tenant_bytes_max)),
      boolean_setting(
          {"cache.seal",
           {"REDOUBT_CACHE_SEAL"},
           "Copies of cache entries in Redis are sealed under the key ring: who can read "
           "or write Redis can neither read nor forge them."},
          cache(&CacheSettings::seal)),
      enum_setting({"cache.without_redis",
                    {"REDOUBT_CACHE_WITHOUT_REDIS"},
                    "What the cache answers while Redis is configured and away. local: what this "
                    "instance has in memory. off: nothing. Read again on SIGHUP."},
                   EnumNames<bool>{{"local", true}, {"off", false}},
                   cache(&CacheSettings::without_redis)),
  };
}

}  // namespace redoubt::config
