#include "operations/cache_operations.hpp"

#include "base/text.hpp"
#include "operations/cache_admin_operations.hpp"
#include "operations/cache_messages.hpp"
#include "operations/etag.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace redoubt::operations {
namespace {

// What all values of a batch may weigh together; the items beyond say 413.
constexpr std::size_t kBatchBytesMax = 8u << 20;

// ---- One entry ----

struct CacheEntryReply : RawReply {
  CacheState state = CacheState::miss;
  std::string etag;
  std::string lease;
  Duration age{0};
  Duration ttl{0};
  bool not_modified = false;
};

CacheGet get_of(const CacheGetRequest& request) {
  CacheGet get;
  get.key = request.key;
  get.lease = request.lease;
  get.wait = request.wait;
  return get;
}

Result<CacheEntryReply> entry_reply(Result<CacheLookup> found, std::string_view if_none_match) {
  if (!found) return fail(std::move(found).error());
  CacheEntryReply reply;
  reply.state = found->state;
  reply.lease = std::move(found->lease);
  reply.age = found->age;
  reply.ttl = found->ttl;
  if (!found->entry) return reply;
  reply.etag = found->entry->etag;
  reply.not_modified = !if_none_match.empty() && matches_etag(if_none_match, reply.etag);
  if (reply.not_modified) return reply;
  reply.content_type = found->entry->content_type;
  reply.body = found->entry->value;
  return reply;
}

void decorate_entry(const CacheEntryReply& reply, OperationOutput& out) {
  out.add_header("Redoubt-Cache",
                 EnumNames<CacheState>::names[static_cast<std::size_t>(reply.state)]);
  out.add_header("Cache-Control", "private, no-cache");
  if (!reply.lease.empty()) out.add_header(kLeaseHeader, reply.lease);
  if (reply.state == CacheState::miss) {
    out.error = Error(Errc::not_found, "cache_miss",
                      reply.lease.empty()
                          ? "there is no live entry under this key"
                          : "there is no live entry under this key; fill it under the lease in "
                            "Redoubt-Fill-Lease");
    return;
  }
  out.add_header("ETag", fmt::format("\"{}\"", reply.etag));
  out.add_header("Age", reply.age.count() / 1000);
  out.add_header("Redoubt-Cache-Ttl",
                 fmt::format("{}.{:03}", reply.ttl.count() / 1000, reply.ttl.count() % 1000));
  // A value is a tenant's, the origin is ours: whatever it claims to be, a browser must not run it.
  out.add_header("Content-Security-Policy", "sandbox; default-src 'none'");
  if (reply.not_modified) out.status = 304;
}

void register_get(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheGetRequest, CacheEntryReply>{
      .info = {.id = "cache.get",
               .method = Method::get,
               .path = "/api/v1/cache/entries/{key}",
               .summary = "Get a cache entry, or the lease to fill it",
               .doc =
                   "200 with the value as it was put; `Redoubt-Cache` says `hit`, `stale` or "
                   "`negative`, `Age` and `Redoubt-Cache-Ttl` how old it is and how long it "
                   "stays fresh. 404 `cache_miss` otherwise.\n\nWith `lease`, one caller at a "
                   "time is given `Redoubt-Fill-Lease`, on a 404 or on a stale 200: it computes "
                   "the value and puts it with the same header. The others wait up to `wait` for "
                   "it, or get the stale value at once. HEAD says whether there is an entry.",
               .area = Area::cache,
               .access = Access::read},
      .now = [&cache](const Context& context,
                      const CacheGetRequest& r) -> std::optional<Result<CacheEntryReply>> {
        auto found = cache.get_now(context, get_of(r));
        if (!found) return std::nullopt;
        return entry_reply(*std::move(found), r.if_none_match);
      },
      .run = [&cache](const Context& context, CacheGetRequest r) -> Task<CacheEntryReply> {
        CacheGet get = get_of(r);
        auto found = co_await cache.get(context, std::move(get));
        co_return entry_reply(std::move(found), r.if_none_match);
      },
      .decorate = decorate_entry});
}

Task<CachePutReply> put(Cache& cache, const Context& context, CachePutRequest request) {
  CachePut put;
  put.key = request.key;
  put.value = std::move(request.value);
  if (!request.content_type.empty()) put.content_type = std::move(request.content_type);
  put.tags = std::move(request.tags);
  put.ttl = request.ttl;
  put.stale_for = request.stale_for;
  put.stale_if_error = request.stale_if_error;
  put.negative = request.negative;
  put.consistency = request.consistency;
  put.lease = std::move(request.lease);
  RD_CO_TRY(result, co_await cache.put(context, std::move(put)));
  co_return CachePutReply::of(std::move(request.key), result);
}

void register_put(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CachePutRequest, CachePutReply>{
      .info = {.id = "cache.put",
               .method = Method::put,
               .path = "/api/v1/cache/entries/{key}",
               .summary = "Put a cache entry",
               .doc = "The body is the value. With `Redoubt-Fill-Lease` it is kept only if the "
                      "lease still holds and nothing it depends on was invalidated since the lease "
                      "was granted; the answer is 200 all the same, with `stored` and `outcome`. "
                      "Without, it ends a fill that is under way.",
               .area = Area::cache,
               .access = Access::write,
               .priority = Priority::fill},
      .run = [&cache](const Context& context,
                      CachePutRequest r) { return put(cache, context, std::move(r)); },
      .decorate =
          [](const CachePutReply& reply, OperationOutput& out) {
            out.add_header("ETag", fmt::format("\"{}\"", reply.etag));
          }});
}

Task<CacheDeletedReply> erase(Cache& cache, const Context& context, CacheDeleteRequest request) {
  CacheDeletedReply reply;
  reply.key = request.key;
  const bool everywhere = request.wait == Wait::all;
  if (request.best_effort && !everywhere) {
    co_return fail(invalid_argument(
        "query.best_effort", "needs wait=all: without it nothing is to be recorded", "required"));
  }
  if (everywhere) {
    RD_CO_TRY(erased, co_await cache.erase_everywhere(context, std::move(request.key),
                                                      request.best_effort));
    reply.deleted = erased.was_there;
    reply.recorded = erased.recorded;
  } else {
    RD_CO_TRY(deleted, co_await cache.erase(context, std::move(request.key)));
    reply.deleted = deleted;
  }
  co_return reply;
}

void decorate_deleted(const CacheDeletedReply& reply, OperationOutput& out) {
  if (!reply.recorded.value_or(true)) out.status = 202;
}

void register_delete(Registry& registry, Cache& cache) {
  const auto run = [&cache](const Context& context, CacheDeleteRequest r) {
    return erase(cache, context, std::move(r));
  };
  registry.add(OperationSpec<CacheDeleteRequest, CacheDeletedReply>{
      .info = {.id = "cache.delete",
               .method = Method::del,
               .path = "/api/v1/cache/entries/{key}",
               .summary = "Delete a cache entry",
               .doc =
                   "A fill that is under way is void; its lease passes to the next caller. Other "
                   "instances may have the entry in their memory until it ends; with "
                   "`wait=all` the key is invalidated in all of them.",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true},
      .run = run,
      .decorate = decorate_deleted});
  registry.add(OperationSpec<CacheDeleteRequest, CacheDeletedReply>{
      .info = {.id = "cache.delete_key",
               .method = Method::del,
               .path = "/api/v1/cache/keys/{key}",
               .summary = "Delete a cache key",
               .doc = "The same as `cache.delete`, under the path of the key list.",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true},
      .run = run,
      .decorate = decorate_deleted});
}

Task<CacheReleasedReply> release(Cache& cache, const Context& context,
                                 CacheReleaseRequest request) {
  CacheRelease release;
  release.key = std::move(request.key);
  release.lease = std::move(request.lease);
  release.failed = request.failed;
  release.retry_after = request.retry_after;
  RD_CO_TRY(released, co_await cache.release(context, std::move(release)));
  CacheReleasedReply reply;
  reply.released = released.released;
  reply.serving_stale = released.serving_stale;
  co_return reply;
}

void register_release(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheReleaseRequest, CacheReleasedReply>{
      .info = {.id = "cache.release",
               .method = Method::del,
               .path = "/api/v1/cache/leases/{key}",
               .summary = "Give a fill lease back without a value",
               .doc = "It passes to the caller that has waited longest. With `failed` and a stale "
                      "value in its `stale_if_error` time, everybody gets that value instead until "
                      "`retry_after` has passed.",
               .area = Area::cache,
               .access = Access::write,
               .priority = Priority::lease},
      .run = [&cache](const Context& context, CacheReleaseRequest r) {
        return release(cache, context, std::move(r));
      }});
}

// ---- Batches ----

CacheItem item_of(std::string key, const CacheLookup& found, std::size_t& bytes_left) {
  CacheItem item;
  item.key = std::move(key);
  item.state = found.state;
  if (!found.entry) return item;
  const CacheEntry& entry = *found.entry;
  item.etag = entry.etag;
  item.age = found.age;
  item.ttl = found.ttl;
  item.content_type = entry.content_type;
  item.tags = entry.tags;
  item.status = entry.value.size() <= bytes_left ? 200 : 413;
  if (item.status == 413) return item;
  bytes_left -= entry.value.size();
  if (is_utf8(entry.value)) {
    item.value = entry.value;
  } else {
    item.value_base64 = to_base64(as_bytes(entry.value));
  }
  return item;
}

Task<CacheBatchGetReply> get_batch(Cache& cache, const Context& context,
                                   CacheBatchGetRequest request) {
  std::vector<std::string> keys = request.keys;
  RD_CO_TRY(found, co_await cache.get_batch(context, std::move(keys)));
  CacheBatchGetReply reply;
  std::size_t bytes_left = kBatchBytesMax;
  for (std::size_t i = 0; i < found.size(); ++i) {
    reply.data.push_back(item_of(std::move(request.keys[i]), found[i], bytes_left));
  }
  co_return reply;
}

Task<CacheBatchSetReply> put_batch(Cache& cache, const Context& context,
                                   CacheBatchSetRequest request) {
  std::vector<CachePut> puts;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    RD_CO_TRY(put, put_of(std::move(request.entries[i]), fmt::format("body.entries.{}", i)));
    keys.push_back(put.key);
    puts.push_back(std::move(put));
  }
  RD_CO_TRY(results, co_await cache.put_batch(context, std::move(puts)));
  CacheBatchSetReply reply;
  for (std::size_t i = 0; i < results.size(); ++i) {
    reply.data.push_back(CachePutReply::of(std::move(keys[i]), results[i]));
  }
  co_return reply;
}

void register_batches(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheBatchGetRequest, CacheBatchGetReply>{
      .info = {.id = "cache.batch_get",
               .method = Method::post,
               .path = "/api/v1/cache/batch/get",
               .summary = "Get up to 256 cache entries",
               .doc = "Values beyond 8 MiB in all are left out with status 413. Grants no leases.",
               .area = Area::cache,
               .access = Access::read},
      .run = [&cache](const Context& context, CacheBatchGetRequest r) {
        return get_batch(cache, context, std::move(r));
      }});
  registry.add(OperationSpec<CacheBatchSetRequest, CacheBatchSetReply>{
      .info = {.id = "cache.batch_set",
               .method = Method::post,
               .path = "/api/v1/cache/batch/set",
               .summary = "Put up to 256 cache entries",
               .area = Area::cache,
               .access = Access::write,
               .priority = Priority::fill},
      .run = [&cache](const Context& context, CacheBatchSetRequest r) {
        return put_batch(cache, context, std::move(r));
      }});
}

// ---- Invalidation ----

Task<CacheInvalidatedReply> invalidate(Cache& cache, const Context& context,
                                       CacheInvalidateRequest request) {
  CacheInvalidation what;
  what.tags = std::move(request.tags);
  what.prefixes = std::move(request.prefixes);
  what.patterns = std::move(request.patterns);
  what.best_effort = request.best_effort;
  RD_CO_TRY(done, co_await cache.invalidate(context, std::move(what)));
  co_return CacheInvalidatedReply::of(done);
}

void register_invalidate(Registry& registry, Cache& cache) {
  registry.add(OperationSpec<CacheInvalidateRequest, CacheInvalidatedReply>{
      .info = {.id = "cache.invalidate",
               .method = Method::post,
               .path = "/api/v1/cache/invalidate",
               .summary = "Invalidate by tag, key prefix or glob",
               .doc = "Costs the same however many entries it concerns. From the answer on, no "
                      "value whose fill began before it is served, as stale neither. It survives a "
                      "crash: it is committed before it is answered; or, with `best_effort` and "
                      "while the record is away, accepted with 202 and `recorded: false`. With an "
                      "`Idempotency-Key` that is not possible: nothing can be kept of it then.",
               .area = Area::cache,
               .access = Access::write,
               .may_accept = true,
               .priority = Priority::lease},
      .run = [&cache](
                 const Context& context,
                 CacheInvalidateRequest r) { return invalidate(cache, context, std::move(r)); },
      .decorate = decorate_invalidated});
}

}  // namespace

Result<CachePut> put_of(CacheNewEntry entry, std::string_view where) {
  CachePut put;
  put.content_type = entry.value_base64 ? "application/octet-stream" : "text/plain; charset=utf-8";
  if (entry.content_type) put.content_type = *std::move(entry.content_type);
  if (entry.value && entry.value_base64) {
    return fail(invalid_argument(fmt::format("{}.value_base64", where),
                                 "excludes value: give one of them"));
  }
  if (entry.value_base64) {
    const auto bytes = from_base64(*entry.value_base64);
    if (!bytes) {
      return fail(invalid_argument(fmt::format("{}.value_base64", where),
                                   "must be base64 with padding (RFC 4648 section 4)"));
    }
    put.value = as_text(*bytes);
  } else if (entry.value) {
    put.value = *std::move(entry.value);
  }
  put.key = std::move(entry.key);
  put.tags = std::move(entry.tags);
  put.ttl = entry.ttl;
  put.stale_for = entry.stale_for;
  put.stale_if_error = entry.stale_if_error;
  put.negative = entry.negative;
  put.consistency = entry.consistency;
  return put;
}

void register_cache(Registry& registry, Cache& cache) {
  register_get(registry, cache);
  register_put(registry, cache);
  register_delete(registry, cache);
  register_release(registry, cache);
  register_batches(registry, cache);
  register_invalidate(registry, cache);
  register_cache_admin(registry, cache);
}

}  // namespace redoubt::operations
