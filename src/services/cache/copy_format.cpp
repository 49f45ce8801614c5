#include "services/cache/copy_format.hpp"

#include "base/packed.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::uint8_t kLayout = 1;
constexpr std::uint8_t kNegative = 1;
constexpr std::uint8_t kGone = 2;
constexpr std::uint8_t kTtlAlone = 4;
constexpr char kPlain = 'p';
constexpr char kSealed = 's';
constexpr Duration kLifeMax = 2 * kCacheTtlMax;

SealedAs sealed_as(std::string_view tenant, std::string_view key, std::int64_t version) {
  return {.tenant = tenant, .kind = "cache entry", .record_id = as_bytes(key), .version = version};
}

Duration in_ms(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<Duration>(d);
}

bool is_life(Duration d) {
  return d >= Duration(0) && d <= kLifeMax;
}

}  // namespace

CacheCopy copy_of(const Entry& entry, const Now& now) {
  CacheCopy copy;
  copy.entry = entry;
  copy.seen = entry.seen;
  copy.era = entry.era;
  copy.stored_at = now.wall - in_ms(now.boot - entry.stored_at);
  copy.fresh = in_ms(entry.fresh_until - entry.stored_at);
  copy.stale = in_ms(entry.stale_until - entry.stored_at);
  copy.error = in_ms(entry.error_until - entry.stored_at);
  return copy;
}

std::shared_ptr<Entry> entry_of(CacheCopy copy, std::int64_t version, const Now& now) {
  auto entry = std::make_shared<Entry>();
  static_cast<CacheEntry&>(*entry) = std::move(copy.entry);
  const Duration age = std::max(Duration(0), now.wall - copy.stored_at);
  entry->seen = copy.seen;
  entry->era = copy.era;
  entry->version = version;
  entry->stored_at = now.boot - age;
  entry->fresh_until = entry->stored_at + copy.fresh;
  entry->stale_until = entry->stored_at + copy.stale;
  entry->error_until = entry->stored_at + copy.error;
  entry->weight = kEntryOverhead + kEtagSize + entry->key.size() + entry->value.size() +
                  entry->content_type.size();
  for (const std::string& tag : entry->tags) entry->weight += sizeof(std::string) + tag.size();
  return entry;
}

Bytes pack_copy(const CacheCopy& copy) {
  PackedWriter writer;
  writer.integer(kLayout, 1);
  const bool ttl_alone = copy.entry.consistency == CacheConsistency::ttl;
  const int flags =
      (copy.entry.negative ? kNegative : 0) | (copy.gone ? kGone : 0) | (ttl_alone ? kTtlAlone : 0);
  writer.integer(static_cast<std::uint64_t>(flags), 1);
  writer.signed_integer(copy.seen);
  writer.signed_integer(copy.era);
  writer.time(copy.stored_at);
  for (const Duration d : {copy.fresh, copy.stale, copy.error}) writer.signed_integer(d.count());
  const CacheEntry& entry = copy.entry;
  for (const std::string* text : {&entry.key, &entry.value, &entry.content_type, &entry.etag}) {
    writer.text(*text);
  }
  writer.integer(entry.tags.size(), 1);
  for (const std::string& tag : entry.tags) writer.text(tag);
  return std::move(writer.out);
}

std::optional<CacheCopy> unpack_copy(ByteView bytes) {
  PackedReader reader(bytes);
  if (reader.integer(1) != kLayout) return std::nullopt;
  const std::uint64_t flags = reader.integer(1);
  if (flags > (kNegative | kGone | kTtlAlone)) return std::nullopt;
  CacheCopy copy;
  CacheEntry& entry = copy.entry;
  entry.negative = (flags & kNegative) != 0;
  copy.gone = (flags & kGone) != 0;
  if ((flags & kTtlAlone) != 0) entry.consistency = CacheConsistency::ttl;
  copy.seen = reader.signed_integer();
  copy.era = reader.signed_integer();
  copy.stored_at = reader.time();
  for (Duration* d : {&copy.fresh, &copy.stale, &copy.error}) {
    *d = Duration(reader.signed_integer());
    if (!is_life(*d)) return std::nullopt;
  }
  for (std::string* text : {&entry.key, &entry.value, &entry.content_type, &entry.etag}) {
    *text = reader.text();
  }
  const std::uint64_t tags = reader.integer(1);
  if (tags > kCacheTagsMax || entry.key.size() > kCacheKeyMax) return std::nullopt;
  for (std::uint64_t i = 0; i < tags; ++i) {
    entry.tags.push_back(reader.text());
    if (entry.tags.back().size() > kCacheTagMax) return std::nullopt;
  }
  if (!reader.complete()) return std::nullopt;
  return copy;
}

std::string write_copy(const Vault* vault, std::string_view tenant, std::int64_t version,
                       const CacheCopy& copy) {
  Bytes bytes = pack_copy(copy);
  if (vault != nullptr) bytes = vault->seal(sealed_as(tenant, copy.entry.key, version), bytes);
  std::string out;
  out.reserve(1 + bytes.size());
  out += vault != nullptr ? kSealed : kPlain;
  out += as_text(bytes);
  return out;
}

std::optional<CacheCopy> read_copy(const Vault& vault, std::string_view tenant,
                                   std::string_view key, std::int64_t version,
                                   std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const ByteView body = as_bytes(bytes.substr(1));
  std::optional<CacheCopy> copy;
  if (bytes.front() == kPlain) {
    copy = unpack_copy(body);
  } else if (bytes.front() == kSealed) {
    const auto opened = vault.open(sealed_as(tenant, key, version), body);
    if (opened) copy = unpack_copy(*opened);
  }
  if (copy && copy->entry.key != key) return std::nullopt;
  return copy;
}

}  // namespace redoubt::cache
