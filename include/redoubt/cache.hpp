// The cache: values under keys, for a while, and gone for good when invalidated.
//
// Ages. An entry is fresh for its ttl (shortened by up to `jitter_percent`, so that entries made
// together do not end together), then stale. A stale entry is served for `stale_for` more while
// somebody refreshes it, and for `stale_if_error` after its ttl when refreshing fails or takes
// longer than the caller would wait. A negative entry says that the source has no such thing.
//
// Invalidation is a bump of a generation, never a scan: by tag, by key prefix ("users:42:*", up to
// four segments), by glob, or everything. It is committed to the record before it is acknowledged,
// and costs the same however many keys it concerns. From the acknowledgement on, no call of this
// instance returns a value whose fill began before it, as stale neither.
//
// While invalidations by other instances cannot be heard (PostgreSQL is away), a coherent entry is
// not found. One whose consistency is `ttl` is, as it was known last, as long as its ages allow.
//
// At best effort. While the record is away nothing can be invalidated so, and an invalidation that
// is content with less acts on this instance at once, is told to the others over the shared tier,
// if there is one, and is recorded when it can be. Until then it is lost with this process, and
// another instance that was not told may go on with what it has.
//
// Fill lease. Of the callers that ask for a missing key with a lease, one is granted it and
// computes; the others wait, or get the stale value. What is put under the lease is kept only if
// the lease still holds and nothing the entry depends on was invalidated since it was granted. An
// expired, failed or released lease passes to the caller that has waited longest. Several instances
// with one shared tier have one filler among them while it can be asked, and one each while not.
// Leases and entries are soft: a restart forgets them.
//
// Bounded in bytes and entries; what does not earn its place is not kept (W-TinyLFU), and a put
// says so. A tenant at its quota gives up entries of its own, the least recently used ones about
// first.
//
// Sources: leases against fill races and stampedes: Nishtala et al., "Scaling Memcache at
// Facebook", NSDI 2013. Stale answers: RFC 5861.
//
// Threads: one Cache per worker over one shared store; call it from that worker's executor.
// Errors: invalid_argument for a key, tag or pattern out of its grammar; the rest per function.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

inline constexpr std::size_t kCacheKeyMax = 512;  // Bytes of UTF-8 without control characters.
inline constexpr std::size_t kCacheTagMax = 128;  // The same, and without ','.
inline constexpr std::size_t kCacheTagsMax = 16;  // Of an entry.
inline constexpr std::size_t kCachePatternMax = 1024;
inline constexpr std::size_t kCacheContentTypeMax = 256;
inline constexpr std::size_t kCacheBatchMax = 256;         // Keys of a batch.
inline constexpr std::size_t kCacheInvalidationsMax = 64;  // Tags, prefixes and patterns of a call.
inline constexpr std::size_t kCacheListMax = 1000;
inline constexpr Duration kCacheTtlMin{1};
inline constexpr Duration kCacheTtlMax{30LL * 86'400'000};  // Also of stale_for and stale_if_error.
inline constexpr Duration kCacheLeaseMin{100};
inline constexpr Duration kCacheLeaseMax{300'000};
inline constexpr Duration kCacheWaitMax{60'000};
inline constexpr Duration kCacheRetryMax{60'000};

struct CacheOptions {
  std::size_t bytes_max = 64u << 20;  // Of all tenants, with bookkeeping.
  std::size_t entries_max = 100'000;
  std::size_t tenant_bytes_max = 0;  // 0: no quota.
  std::size_t value_bytes_max = 1u << 20;
  Duration default_ttl{3'600'000};
  unsigned jitter_percent = 10;  // 0..50: how much of a ttl may be cut off.
};

// What an entry's readers rely on.
enum class CacheConsistency : std::uint8_t {
  coherent,  // Nothing invalidated is shown: 2 s after the acknowledgement, on any instance.
  ttl,       // Its ages alone, while invalidations cannot be heard.
};

struct CacheEntry {
  std::string key{};
  std::string value{};
  std::string content_type{};
  std::string etag{};  // 32 hex digits; equal for equal values of equal type.
  std::vector<std::string> tags{};
  bool negative = false;
  CacheConsistency consistency = CacheConsistency::coherent;
};

enum class CacheState : std::uint8_t { miss, hit, stale, negative };

struct CacheGet {
  std::string key{};
  std::optional<Duration> lease{};  // Ask for the right to fill, for this long.
  Duration wait{0};                 // How long to wait for another's fill; only with `lease`.
};

struct CacheLookup {
  CacheState state = CacheState::miss;
  std::shared_ptr<const CacheEntry> entry;  // Null exactly on a miss.
  Duration age{0};
  Duration ttl{0};    // Freshness left; 0 when stale.
  std::string lease;  // Not empty: the caller is to fill, with a miss or a stale value in hand.
};

struct CachePut {
  std::string key{};
  std::string value{};
  std::string content_type = "application/octet-stream";
  std::vector<std::string> tags{};
  std::optional<Duration> ttl{};
  Duration stale_for{0};
  Duration stale_if_error{0};
  bool negative = false;
  CacheConsistency consistency = CacheConsistency::coherent;
  std::string lease{};  // From CacheLookup; empty: store whatever was going on.
};

// What became of a put. Only `stored` can be read back.
enum class CacheStored : std::uint8_t {
  stored,
  not_admitted,  // The cache is full of entries that are used more.
  lease_lost,    // The lease expired, or the key was put or deleted meanwhile.
  invalidated,   // Something it depends on was invalidated after the lease was granted.
};

struct CachePutResult {
  CacheStored outcome = CacheStored::stored;
  std::string etag;
  Duration ttl{0};  // After jitter.
};

struct CacheRelease {
  std::string key{};
  std::string lease{};
  bool failed = false;          // The source failed: serve the stale value, if there is one...
  Duration retry_after{5'000};  // ...for this long before another is asked to fill.
};

struct CacheReleased {
  bool released = false;       // False: the lease was not held any more.
  bool serving_stale = false;  // Callers get the stale value until retry_after has passed.
};

struct CacheInvalidation {
  std::vector<std::string> tags{};
  std::vector<std::string> prefixes{};  // Literal. O(1) when of 1..4 segments that each end in ':'.
  std::vector<std::string> patterns{};  // Globs of * ? and \ escapes.
  bool everything = false;
  bool best_effort = false;  // Rather than not at all, where it cannot be recorded now.
};

struct CacheInvalidated {
  // Of the tenant; grows with every invalidation, across restarts. 0: not recorded.
  std::int64_t generation = 0;
  std::size_t bumped = 0;
  bool everything = false;  // It was widened to, or asked as, everything.
  bool recorded = true;     // False: at best effort, as above.
};

struct CacheErased {
  bool was_there = false;
  bool recorded = true;  // As above.
};

struct CacheKeyInfo {
  std::string key{};
  CacheState state = CacheState::hit;
  Duration age{0};
  Duration ttl{0};
  std::size_t bytes = 0;  // With bookkeeping.
};

struct CacheKeyPage {
  std::vector<CacheKeyInfo> keys;  // In byte order. May be short; the cursor tells the end.
  std::string next_cursor;         // Empty: no more.
};

// Of the caller's tenant, since start. `entries` and `bytes` include entries whose end has not been
// noticed yet.
struct CacheStats {
  std::size_t entries = 0;
  std::size_t bytes = 0;
  std::size_t bytes_max = 0;  // What the tenant may use.
  std::size_t entries_max = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stale = 0;
  std::uint64_t negative = 0;
  std::uint64_t evictions = 0;
  std::size_t fills = 0;  // Leases held.
};

class Cache {
 public:
  virtual ~Cache() = default;

  // Answers from memory, without suspending. Empty when the caller has to wait; then call get().
  // permission_denied when a read-only caller asks for a lease.
  virtual std::optional<Result<CacheLookup>> get_now(const Context& context,
                                                     const CacheGet& request) = 0;
  virtual Task<CacheLookup> get(const Context& context, CacheGet request) = 0;

  // In the order of the keys; grants no leases.
  virtual Task<std::vector<CacheLookup>> get_batch(const Context& context,
                                                   std::vector<std::string> keys) = 0;

  // What get() without a lease would find, without counting as a use or as a request.
  virtual Task<CacheLookup> inspect(const Context& context, std::string key) = 0;

  // payload_too_large "cache_value_too_large", "cache_quota_exceeded" for an entry that could never
  // be kept. Without a lease it ends a fill that is under way: what is put is the newer value.
  virtual Task<CachePutResult> put(const Context& context, CachePut request) = 0;

  // All are checked before any is stored; an error's fields say which is wrong
  // ("entries.3.key").
  virtual Task<std::vector<CachePutResult>> put_batch(const Context& context,
                                                      std::vector<CachePut> requests) = 0;

  // From the memory of this instance and the copy in the shared tier. Ends the fill that is under
  // way too; its lease passes on. False when there was no entry here.
  virtual Task<bool> erase(const Context& context, std::string key) = 0;

  // From every instance's, as an invalidation. Errors: as invalidate().
  virtual Task<CacheErased> erase_everywhere(const Context& context, std::string key,
                                             bool best_effort = false) = 0;

  // Gives a lease back without a value.
  virtual Task<CacheReleased> release(const Context& context, CacheRelease request) = 0;

  // One commit. unavailable while the record is away: nothing is invalidated then, unless it is at
  // best effort and there is room to hold it.
  virtual Task<CacheInvalidated> invalidate(const Context& context, CacheInvalidation request) = 0;

  // Keys with a live entry that match `pattern`, `limit` of 1..1000 a page. Looks at 10,000 keys at
  // most: a page may be short, even empty, before the end.
  virtual Task<CacheKeyPage> list(const Context& context, std::string pattern, std::size_t limit,
                                  std::string cursor) = 0;

  virtual CacheStats stats(const Context& context) const = 0;

  // Drops dead entries (it looks at `batch` of each tenant) and generations nobody can need any
  // more; returns how many. For the cleanup job.
  virtual Task<std::int64_t> sweep(std::size_t batch) = 0;

  // Tells the shared tier, if it is in use, of `batch` keys that were put or erased here while it
  // was not; returns how many it took. For a job, of one worker.
  virtual Task<std::int64_t> hand_over(std::size_t batch) = 0;
};

}  // namespace redoubt
