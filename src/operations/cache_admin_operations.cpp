#include "operations/cache_admin_operations.hpp"

#include "operations/cache_messages.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace redoubt::operations {
namespace {

constexpr std::string_view kDashboardPrefix = "dashboard:";

struct NoRequest {
  static constexpr std::string_view schema_name = "CacheNoRequest";
  static constexpr std::array<FieldInfo, 0> fields{};
};

// ---- Statistics ----

struct CacheStatsReply {
  std::int64_t entries = 0;
  std::int64_t entries_max = 0;
  std::int64_t size_bytes = 0;
  std::int64_t size_bytes_max = 0;
  std::int64_t hits = 0;
  std::int64_t stale = 0;
  std::int64_t negative = 0;
  std::int64_t misses = 0;
  double hit_ratio = 0;
  std::int64_t evictions = 0;
  std::int64_t fills_in_progress = 0;
  static constexpr std::string_view schema_name = "CacheStats";
  static constexpr auto fields = describe(
      field<&CacheStatsReply::entries>("entries", "In memory, dead ones not yet noticed included."),
      field<&CacheStatsReply::entries_max>("entries_max", "Of all tenants together."),
      field<&CacheStatsReply::size_bytes>("size_bytes", "With bookkeeping."),
      field<&CacheStatsReply::size_bytes_max>("size_bytes_max", "What the tenant may use."),
      field<&CacheStatsReply::hits>("hits", "Since start."),
      field<&CacheStatsReply::stale>("stale", "Answers with a stale value."),
      field<&CacheStatsReply::negative>("negative", "Answers with a negative entry."),
      field<&CacheStatsReply::misses>("misses", "Since start."),
      field<&CacheStatsReply::hit_ratio>("hit_ratio", "Answers that were no misses, 0 to 1."),
      field<&CacheStatsReply::evictions>("evictions", "Live entries given up for room or quota."),
      field<&CacheStatsReply::fills_in_progress>("fills_in_progress", "Fill leases held."));
};

CacheStatsReply stats_of(const CacheStats& stats) {
  CacheStatsReply reply;
  reply.entries = static_cast<std::int64_t>(stats.entries);
  reply.entries_max = static_cast<std::int64_t>(stats.entries_max);
  reply.size_bytes = static_cast<std::int64_t>(stats.bytes);
  reply.size_bytes_max = static_cast<std::int64_t>(stats.bytes_max);
  reply.hits = static_cast<std::int64_t>(stats.hits);
  reply.stale = static_cast<std::int64_t>(stats.stale);
  reply.negative = static_cast<std::int64_t>(stats.negative);
  reply.misses = static_cast<std::int64_t>(stats.misses);
  const auto served = static_cast<double>(stats.hits + stats.stale + stats.negative);
  const double asked = served + static_cast<double>(stats.misses);
  reply.hit_ratio = asked > 0 ? served / asked : 0;
  reply.evictions = static_cast<std::int64_t>(stats.evictions);
  reply.fills_in_progress = static_cast<std::int64_t>(stats.fills);
  return reply;
}

void register_stats(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<NoRequest, CacheStatsReply>{
      .info = {.id = "cache.stats",
               .method = Method::get,
               .path = "/api/v1/cache/stats",
               .summary = "Show the tenant's cache in figures",
               .area = Area::cache,
               .access = Access::read,
               .priority = Priority::listing},
      .run = [&cache](const Context& context, NoRequest) -> Task<CacheStatsReply> {
        co_return stats_of(cache.stats(context));
      }});
}

// ---- Keys ----

struct CacheListRequest {
  std::string pattern = "*";
  std::int64_t limit = 100;
  std::string cursor;
  static constexpr std::string_view schema_name = "CacheListRequest";
  static constexpr auto fields = describe(
      field<&CacheListRequest::pattern>("pattern", "A glob: `*`, `?`, `\\` escapes.", in_query,
                                        length(1, kCachePatternMax), example("users:*")),
      field<&CacheListRequest::limit>("limit", "Keys of a page.", in_query,
                                      between(1, kCacheListMax)),
      field<&CacheListRequest::cursor>("cursor", "`next_cursor` of the page before.", in_query,
                                       length(0, 1024)));
};

struct CacheKeyItem {
  std::string key;
  CacheState state = CacheState::hit;
  Duration age{0};
  Duration ttl{0};
  std::int64_t bytes = 0;
  static constexpr std::string_view schema_name = "CacheKey";
  static constexpr auto fields =
      describe(field<&CacheKeyItem::key>("key", "The key."),
               field<&CacheKeyItem::state>("state", "What a look-up would find."),
               field<&CacheKeyItem::age>("age", "Seconds since it was put."),
               field<&CacheKeyItem::ttl>("ttl", "Seconds it stays fresh; 0 when it is stale."),
               field<&CacheKeyItem::bytes>("bytes", "What the entry takes, with bookkeeping."));
};

std::vector<CacheKeyItem> items_of(std::vector<CacheKeyInfo> keys) {
  std::vector<CacheKeyItem> items;
  items.reserve(keys.size());
  for (CacheKeyInfo& info : keys) {
    CacheKeyItem item;
    item.key = std::move(info.key);
    item.state = info.state;
    item.age = info.age;
    item.ttl = info.ttl;
    item.bytes = static_cast<std::int64_t>(info.bytes);
    items.push_back(std::move(item));
  }
  return items;
}

struct CacheListReply {
  std::vector<CacheKeyItem> data;
  std::optional<std::string> next_cursor;
  bool has_more = false;
  static constexpr std::string_view schema_name = "CacheKeys";
  static constexpr auto fields =
      describe(field<&CacheListReply::data>("data", "Live keys that match, in byte order."),
               field<&CacheListReply::next_cursor>("next_cursor", "Absent on the last page."),
               field<&CacheListReply::has_more>("has_more", "Whether there may be another page."));
};

Task<CacheListReply> list(Cache& cache, const Context& context, CacheListRequest request) {
  const auto limit = static_cast<std::size_t>(request.limit);
  RD_CO_TRY(page, co_await cache.list(context, std::move(request.pattern), limit,
                                      std::move(request.cursor)));
  CacheListReply reply;
  reply.data = items_of(std::move(page.keys));
  reply.has_more = !page.next_cursor.empty();
  if (reply.has_more) reply.next_cursor = std::move(page.next_cursor);
  co_return reply;
}

void register_list(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheListRequest, CacheListReply>{
      .info = {.id = "cache.list",
               .method = Method::get,
               .path = "/api/v1/cache/keys",
               .summary = "List the tenant's live cache keys",
               .doc = "A page looks at 10,000 keys at most, so it may be short, even empty, before "
                      "the last: go on while `has_more`.",
               .area = Area::cache,
               .access = Access::read,
               .priority = Priority::listing},
      .run = [&cache](const Context& context, CacheListRequest r) {
        return list(cache, context, std::move(r));
      }});
}

// ---- Clearing ----

struct CacheClearRequest {
  Wait wait = Wait::self;
  bool best_effort = false;
  static constexpr std::string_view schema_name = "CacheClearRequest";
  static constexpr auto fields = describe(wait_field<&CacheClearRequest::wait>(),
                                          best_effort_field<&CacheClearRequest::best_effort>());
};

struct CacheClearPatternRequest {
  std::string pattern;
  Wait wait = Wait::self;
  bool best_effort = false;
  static constexpr std::string_view schema_name = "CacheClearPatternRequest";
  static constexpr auto fields =
      describe(field<&CacheClearPatternRequest::pattern>(
                   "pattern", "A glob: `*`, `?`, `\\` escapes.", in_query, required,
                   length(1, kCachePatternMax), example("users:*")),
               wait_field<&CacheClearPatternRequest::wait>(),
               best_effort_field<&CacheClearPatternRequest::best_effort>());
};

Task<CacheInvalidatedReply> invalidate(Cache& cache, const Context& context,
                                       CacheInvalidation what) {
  RD_CO_TRY(done, co_await cache.invalidate(context, std::move(what)));
  co_return CacheInvalidatedReply::of(done);
}

void register_clear(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheClearRequest, CacheInvalidatedReply>{
      .info = {.id = "cache.clear",
               .method = Method::post,
               .path = "/api/v1/cache/clear",
               .summary = "Invalidate everything in the tenant's cache",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true,
               .priority = Priority::lease},
      .run =
          [&cache](const Context& context, CacheClearRequest r) {
            CacheInvalidation what;
            what.everything = true;
            what.best_effort = r.best_effort;
            return invalidate(cache, context, std::move(what));
          },
      .decorate = decorate_invalidated});
  registry.add(OperationSpec<CacheClearPatternRequest, CacheInvalidatedReply>{
      .info = {.id = "cache.clear_pattern",
               .method = Method::post,
               .path = "/api/v1/cache/clear/pattern",
               .summary = "Invalidate the keys that match a glob",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true,
               .priority = Priority::lease},
      .run =
          [&cache](const Context& context, CacheClearPatternRequest r) {
            CacheInvalidation what;
            what.patterns.push_back(std::move(r.pattern));
            what.best_effort = r.best_effort;
            return invalidate(cache, context, std::move(what));
          },
      .decorate = decorate_invalidated});
}

// ---- The dashboard's keys ----

struct CacheWarmRequest {
  std::vector<CacheNewEntry> entries;
  static constexpr std::string_view schema_name = "CacheWarmRequest";
  static constexpr auto fields = describe(field<&CacheWarmRequest::entries>(
      "entries", "What to put first. A key without `dashboard:` in front gets it.",
      items(0, kCacheBatchMax)));
};

struct CacheWarmReply {
  std::vector<CachePutReply> loaded;
  std::vector<CacheKeyItem> data;
  std::vector<std::string> to_refresh;
  bool has_more = false;
  static constexpr std::string_view schema_name = "CacheWarmed";
  static constexpr auto fields = describe(
      field<&CacheWarmReply::loaded>("loaded", "What became of each entry given, in order."),
      field<&CacheWarmReply::data>("data", "The dashboard's live keys, up to 1,000."),
      field<&CacheWarmReply::to_refresh>("to_refresh",
                                         "Those of them that are served stale: compute and put "
                                         "them, best under a lease."),
      field<&CacheWarmReply::has_more>("has_more", "Whether there are more than those."));
};

Task<std::vector<CachePutReply>> load(Cache& cache, const Context& context,
                                      std::vector<CacheNewEntry> entries) {
  std::vector<CachePut> puts;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    RD_CO_TRY(put, put_of(std::move(entries[i]), fmt::format("body.entries.{}", i)));
    if (!put.key.starts_with(kDashboardPrefix)) put.key.insert(0, kDashboardPrefix);
    keys.push_back(put.key);
    puts.push_back(std::move(put));
  }
  std::vector<CachePutReply> loaded;
  if (puts.empty()) co_return loaded;
  RD_CO_TRY(results, co_await cache.put_batch(context, std::move(puts)));
  for (std::size_t i = 0; i < results.size(); ++i) {
    loaded.push_back(CachePutReply::of(std::move(keys[i]), results[i]));
  }
  co_return loaded;
}

Task<CacheWarmReply> warm(Cache& cache, const Context& context, CacheWarmRequest request) {
  CacheWarmReply reply;
  RD_CO_TRY(loaded, co_await load(cache, context, std::move(request.entries)));
  reply.loaded = std::move(loaded);
  std::string pattern = fmt::format("{}*", kDashboardPrefix);
  std::string cursor;
  RD_CO_TRY(page,
            co_await cache.list(context, std::move(pattern), kCacheListMax, std::move(cursor)));
  reply.has_more = !page.next_cursor.empty();
  reply.data = items_of(std::move(page.keys));
  for (const CacheKeyItem& item : reply.data) {
    if (item.state == CacheState::stale) reply.to_refresh.push_back(item.key);
  }
  co_return reply;
}

void register_dashboard(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheWarmRequest, CacheWarmReply>{
      .info = {.id = "cache.warm_dashboard",
               .method = Method::post,
               .path = "/api/v1/cache/dashboard/warm",
               .summary = "Load the dashboard's entries and say which need refreshing",
               .doc = "The dashboard's entries are those under `dashboard:`. Redoubt does not know "
                      "how to compute them: it puts what it is given, and tells what is live and "
                      "what is stale, so that the caller computes no more than it must.",
               .area = Area::cache,
               .access = Access::write,
               .priority = Priority::fill},
      .run = [&cache](const Context& context, CacheWarmRequest r) {
        return warm(cache, context, std::move(r));
      }});
  registry.add(OperationSpec<CacheClearRequest, CacheInvalidatedReply>{
      .info = {.id = "cache.clear_dashboard",
               .method = Method::post,
               .path = "/api/v1/cache/dashboard/clear",
               .summary = "Invalidate the dashboard's entries",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true},
      .run =
          [&cache](const Context& context, CacheClearRequest r) {
            CacheInvalidation what;
            what.prefixes.emplace_back(kDashboardPrefix);
            what.best_effort = r.best_effort;
            return invalidate(cache, context, std::move(what));
          },
      .decorate = decorate_invalidated});
}

}  // namespace

void register_cache_admin(Registry& registry, Cache& cache) {
  register_stats(registry, cache);
  register_list(registry, cache);
  register_clear(registry, cache);
  register_dashboard(registry, cache);
}

}  // namespace redoubt::operations
