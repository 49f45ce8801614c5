// What the cache's operations read and write.
#pragma once

#include "base/bytes.hpp"
#include "operations/operation.hpp"

#include <redoubt/cache.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::operations {

template <>
struct EnumNames<CacheState> {
  static constexpr std::array<std::string_view, 4> names{"miss", "hit", "stale", "negative"};
};
template <>
struct EnumNames<CacheStored> {
  static constexpr std::array<std::string_view, 4> names{"stored", "not_admitted", "lease_lost",
                                                         "invalidated"};
};

template <>
struct EnumNames<CacheConsistency> {
  static constexpr std::array<std::string_view, 2> names{"coherent", "ttl"};
};

inline constexpr std::string_view kConsistencyDoc =
    "`coherent`: not found while invalidations by other instances cannot be heard, because "
    "PostgreSQL is away. `ttl`: found then too, as long as its ages allow.";

inline constexpr std::string_view kLeaseHeader = "Redoubt-Fill-Lease";

template <auto Member>
constexpr FieldInfo best_effort_field() {
  return field<Member>(
      "best_effort",
      "While the record is away, not 503 but 202: this instance acts on it at once, "
      "others as far as Redis tells them, and it is recorded when it can be, unless "
      "the process ends before.",
      in_query);
}

// ---- One entry ----

struct CacheGetRequest {
  std::string key;
  std::optional<Duration> lease;
  Duration wait{0};
  std::string if_none_match;
  static constexpr std::string_view schema_name = "CacheGetRequest";
  static constexpr auto fields = describe(
      field<&CacheGetRequest::key>("key", "The entry's key, percent-encoded.", in_path,
                                   length(1, kCacheKeyMax), example("agent:42:profile")),
      field<&CacheGetRequest::lease>(
          "lease", "Ask for the right to fill the entry if it is missing or stale, for this long.",
          in_query, between(kCacheLeaseMin, kCacheLeaseMax)),
      field<&CacheGetRequest::wait>(
          "wait", "How long to wait while another caller fills it; needs `lease`.", in_query,
          between(Duration(0), kCacheWaitMax)),
      field<&CacheGetRequest::if_none_match>("if_none_match", "ETags the client has: 304 for them.",
                                             in_header("If-None-Match"), length(0, 4096)));
};

struct CachePutRequest {
  std::string key;
  std::string value;
  std::string content_type;
  std::vector<std::string> tags;
  std::optional<Duration> ttl;
  Duration stale_for{0};
  Duration stale_if_error{0};
  bool negative = false;
  CacheConsistency consistency = CacheConsistency::coherent;
  std::string lease;
  static constexpr std::string_view schema_name = "CachePutRequest";
  static constexpr auto fields = describe(
      field<&CachePutRequest::key>("key", "The entry's key, percent-encoded.", in_path,
                                   length(1, kCacheKeyMax), example("agent:42:profile")),
      field<&CachePutRequest::value>("value", "The value, any bytes.", raw_body),
      field<&CachePutRequest::content_type>("content_type", "Kept and given back with the value.",
                                            in_header("Content-Type"),
                                            length(0, kCacheContentTypeMax)),
      field<&CachePutRequest::tags>("tags", "What it can be invalidated by, beside its key.",
                                    in_query, items(0, kCacheTagsMax)),
      field<&CachePutRequest::ttl>("ttl", "How long it is fresh, before jitter.", in_query,
                                   between(kCacheTtlMin, kCacheTtlMax)),
      field<&CachePutRequest::stale_for>("stale_for",
                                         "How long after that it is served while it is refreshed.",
                                         in_query, between(Duration(0), kCacheTtlMax)),
      field<&CachePutRequest::stale_if_error>(
          "stale_if_error", "How long after its ttl it is served when refreshing fails.", in_query,
          between(Duration(0), kCacheTtlMax)),
      field<&CachePutRequest::negative>("negative", "The source has no such thing.", in_query),
      field<&CachePutRequest::consistency>("consistency", kConsistencyDoc, in_query),
      field<&CachePutRequest::lease>("lease", "The lease this fills, as it was granted.",
                                     in_header(kLeaseHeader), length(0, 64)));
};

struct CachePutReply {
  std::int64_t status = 200;
  std::string key;
  bool stored = true;
  CacheStored outcome = CacheStored::stored;
  std::string etag;
  Duration ttl{0};
  static constexpr std::string_view schema_name = "CacheStoredEntry";
  static constexpr auto fields = describe(
      field<&CachePutReply::status>("status", "200; for items of a batch."),
      field<&CachePutReply::key>("key", "The entry's key."),
      field<&CachePutReply::stored>("stored", "Whether it can be read back."),
      field<&CachePutReply::outcome>("outcome", "Why not, when not."),
      field<&CachePutReply::etag>("etag", "Of the value; equal for equal values of equal type."),
      field<&CachePutReply::ttl>("ttl", "Seconds it is fresh, after jitter."));

  static CachePutReply of(std::string key, const CachePutResult& result) {
    CachePutReply reply;
    reply.key = std::move(key);
    reply.stored = result.outcome == CacheStored::stored;
    reply.outcome = result.outcome;
    reply.etag = result.etag;
    reply.ttl = result.ttl;
    return reply;
  }
};

struct CacheDeleteRequest {
  std::string key;
  Wait wait = Wait::self;
  bool best_effort = false;
  static constexpr std::string_view schema_name = "CacheDeleteRequest";
  static constexpr auto fields =
      describe(field<&CacheDeleteRequest::key>("key", "The entry's key, percent-encoded.", in_path,
                                               length(1, kCacheKeyMax)),
               wait_field<&CacheDeleteRequest::wait>(),
               best_effort_field<&CacheDeleteRequest::best_effort>());
};

struct CacheDeletedReply {
  std::string key;
  bool deleted = false;
  std::optional<bool> recorded;
  static constexpr std::string_view schema_name = "CacheDeleted";
  static constexpr auto fields =
      describe(field<&CacheDeletedReply::key>("key", "The entry's key."),
               field<&CacheDeletedReply::deleted>("deleted", "Whether there was a live entry."),
               field<&CacheDeletedReply::recorded>(
                   "recorded", "With `wait=all`: whether it is in the record; else it will be."));
};

struct CacheReleaseRequest {
  std::string key;
  std::string lease;
  bool failed = false;
  Duration retry_after{5'000};
  static constexpr std::string_view schema_name = "CacheReleaseRequest";
  static constexpr auto fields = describe(
      field<&CacheReleaseRequest::key>("key", "The key the lease was granted for.", in_path,
                                       length(1, kCacheKeyMax)),
      field<&CacheReleaseRequest::lease>("lease", "The lease, as it was granted.",
                                         in_header(kLeaseHeader), required, length(1, 64)),
      field<&CacheReleaseRequest::failed>(
          "failed", "The source failed: serve the stale value, if there is one.", in_query),
      field<&CacheReleaseRequest::retry_after>(
          "retry_after", "For how long, before another caller is asked to fill.", in_query,
          between(Duration(0), kCacheRetryMax)));
};

struct CacheReleasedReply {
  bool released = false;
  bool serving_stale = false;
  static constexpr std::string_view schema_name = "CacheReleased";
  static constexpr auto fields = describe(
      field<&CacheReleasedReply::released>("released", "Whether the lease was still held."),
      field<&CacheReleasedReply::serving_stale>("serving_stale",
                                                "Whether callers get the stale value for now."));
};

// ---- Batches ----

struct CacheBatchGetRequest {
  std::vector<std::string> keys;
  static constexpr std::string_view schema_name = "CacheBatchGetRequest";
  static constexpr auto fields = describe(field<&CacheBatchGetRequest::keys>(
      "keys", "The keys to look up.", required, items(1, kCacheBatchMax)));
};

struct CacheItem {
  std::int64_t status = 404;
  std::string key;
  CacheState state = CacheState::miss;
  std::optional<std::string> value;
  std::optional<std::string> value_base64;
  std::optional<std::string> content_type;
  std::optional<std::vector<std::string>> tags;
  std::optional<std::string> etag;
  std::optional<Duration> age;
  std::optional<Duration> ttl;
  static constexpr std::string_view schema_name = "CacheItem";
  static constexpr auto fields = describe(
      field<&CacheItem::status>("status",
                                "200, 404 for a miss, 413 when the batch has grown too large: get "
                                "that key alone."),
      field<&CacheItem::key>("key", "The key asked for."),
      field<&CacheItem::state>("state", "What was found."),
      field<&CacheItem::value>("value", "The value, when it is UTF-8."),
      field<&CacheItem::value_base64>("value_base64", "The value in base64, when it is not."),
      field<&CacheItem::content_type>("content_type", "As it was put."),
      field<&CacheItem::tags>("tags", "As they were put."),
      field<&CacheItem::etag>("etag", "Of the value."),
      field<&CacheItem::age>("age", "Seconds since it was put."),
      field<&CacheItem::ttl>("ttl", "Seconds it stays fresh; 0 when it is stale."));
};

struct CacheBatchGetReply {
  std::vector<CacheItem> data;
  static constexpr std::string_view schema_name = "CacheBatchItems";
  static constexpr auto fields =
      describe(field<&CacheBatchGetReply::data>("data", "One item for each key, in order."));
};

struct CacheNewEntry {
  std::string key;
  std::optional<std::string> value;
  std::optional<std::string> value_base64;
  std::optional<std::string> content_type;
  std::vector<std::string> tags;
  std::optional<Duration> ttl;
  Duration stale_for{0};
  Duration stale_if_error{0};
  bool negative = false;
  CacheConsistency consistency = CacheConsistency::coherent;
  static constexpr std::string_view schema_name = "CacheNewEntry";
  static constexpr auto fields = describe(
      field<&CacheNewEntry::key>("key", "The entry's key.", required, length(1, kCacheKeyMax)),
      field<&CacheNewEntry::value>("value", "The value as text."),
      field<&CacheNewEntry::value_base64>("value_base64", "Or in base64."),
      field<&CacheNewEntry::content_type>(
          "content_type", "text/plain for text, application/octet-stream otherwise, unless given.",
          length(0, kCacheContentTypeMax)),
      field<&CacheNewEntry::tags>("tags", "What it can be invalidated by, beside its key.",
                                  items(0, kCacheTagsMax)),
      field<&CacheNewEntry::ttl>("ttl", "How long it is fresh, before jitter.",
                                 between(kCacheTtlMin, kCacheTtlMax)),
      field<&CacheNewEntry::stale_for>("stale_for",
                                       "How long after that it is served while it is refreshed.",
                                       between(Duration(0), kCacheTtlMax)),
      field<&CacheNewEntry::stale_if_error>(
          "stale_if_error", "How long after its ttl it is served when refreshing fails.",
          between(Duration(0), kCacheTtlMax)),
      field<&CacheNewEntry::negative>("negative", "The source has no such thing."),
      field<&CacheNewEntry::consistency>("consistency", kConsistencyDoc));
};

// `where` is the item's location, for errors: "body.entries.3".
Result<CachePut> put_of(CacheNewEntry entry, std::string_view where);

struct CacheBatchSetRequest {
  std::vector<CacheNewEntry> entries;
  static constexpr std::string_view schema_name = "CacheBatchSetRequest";
  static constexpr auto fields = describe(field<&CacheBatchSetRequest::entries>(
      "entries", "All are checked before any is put.", required, items(1, kCacheBatchMax)));
};

struct CacheBatchSetReply {
  std::vector<CachePutReply> data;
  static constexpr std::string_view schema_name = "CacheBatchStored";
  static constexpr auto fields =
      describe(field<&CacheBatchSetReply::data>("data", "One item for each entry, in order."));
};

// ---- Invalidation ----

struct CacheInvalidateRequest {
  std::vector<std::string> tags;
  std::vector<std::string> prefixes;
  std::vector<std::string> patterns;
  Wait wait = Wait::self;
  bool best_effort = false;
  static constexpr std::string_view schema_name = "CacheInvalidateRequest";
  static constexpr auto fields = describe(
      field<&CacheInvalidateRequest::tags>("tags", "Entries that carry any of these.",
                                           items(0, kCacheInvalidationsMax)),
      field<&CacheInvalidateRequest::prefixes>(
          "prefixes", "Entries whose keys begin with any of these, taken literally.",
          items(0, kCacheInvalidationsMax)),
      field<&CacheInvalidateRequest::patterns>(
          "patterns", "Entries whose keys match any of these globs (`*`, `?`, `\\` escapes).",
          items(0, kCacheInvalidationsMax)),
      wait_field<&CacheInvalidateRequest::wait>(),
      best_effort_field<&CacheInvalidateRequest::best_effort>());
};

struct CacheInvalidatedReply {
  std::int64_t generation = 0;
  std::int64_t bumped = 0;
  bool everything = false;
  bool recorded = true;
  static constexpr std::string_view schema_name = "CacheInvalidated";
  static constexpr auto fields = describe(
      field<&CacheInvalidatedReply::generation>(
          "generation",
          "Of the tenant's cache; grows with every invalidation. 0 when it is not recorded."),
      field<&CacheInvalidatedReply::bumped>("bumped", "Names given a new generation."),
      field<&CacheInvalidatedReply::everything>("everything",
                                                "Whether the whole cache of the tenant went."),
      field<&CacheInvalidatedReply::recorded>(
          "recorded", "Whether it is in the record; else it will be, with `best_effort`."));

  static CacheInvalidatedReply of(const CacheInvalidated& done) {
    CacheInvalidatedReply reply;
    reply.generation = done.generation;
    reply.bumped = static_cast<std::int64_t>(done.bumped);
    reply.everything = done.everything;
    reply.recorded = done.recorded;
    return reply;
  }
};

// Of what `best_effort` is offered for: 202 when it is all that could be had.
inline void decorate_invalidated(const CacheInvalidatedReply& reply, OperationOutput& out) {
  if (!reply.recorded) out.status = 202;
}

}  // namespace redoubt::operations
