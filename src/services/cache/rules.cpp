#include "services/cache/rules.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::cache {
namespace {

Unexpected wrong(std::string_view where, std::string detail, std::string code) {
  return fail(invalid_argument(std::string(where), std::move(detail), std::move(code)));
}

std::string at(std::string_view where, std::string_view field) {
  return where.empty() ? std::string(field) : fmt::format("{}.{}", where, field);
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

Result<void> check_text(std::string_view where, std::string_view text, std::size_t bytes_max) {
  if (text.empty() || text.size() > bytes_max) {
    return wrong(where, fmt::format("must be 1 to {} bytes; it has {}", bytes_max, text.size()),
                 "length");
  }
  if (!is_utf8(text)) return wrong(where, "must be UTF-8", "format");
  if (has_control(text)) {
    return wrong(where, "must not hold control characters (U+0000 to U+001F, U+007F)", "format");
  }
  return {};
}

Result<void> check_tag(std::string_view where, std::string_view tag) {
  RD_CHECK(check_text(where, tag, kCacheTagMax));
  if (tag.contains(',')) return wrong(where, "must not hold a comma", "format");
  return {};
}

Result<void> check_duration(std::string_view where, Duration value, Duration min, Duration max) {
  if (value >= min && value <= max) return {};
  return wrong(where,
               fmt::format("must be between {} and {}", format_duration(min), format_duration(max)),
               "range");
}

Result<void> check_content_type(std::string_view where, std::string_view type) {
  if (type.size() > kCacheContentTypeMax) {
    return wrong(where, fmt::format("must be at most {} bytes", kCacheContentTypeMax), "length");
  }
  const bool printable = std::ranges::all_of(type, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!printable) return wrong(where, "must be printable ASCII", "format");
  return {};
}

Result<void> check_size(const CachePut& request, const CacheOptions& options) {
  if (request.value.size() <= options.value_bytes_max) return {};
  return fail(Error(Errc::payload_too_large, "cache_value_too_large",
                    fmt::format("the value of {} bytes is over the limit of {} for a cache entry",
                                request.value.size(), options.value_bytes_max)));
}

}  // namespace

Result<void> check_key(std::string_view where, std::string_view key) {
  return check_text(where, key, kCacheKeyMax);
}

Result<void> check_pattern(std::string_view where, std::string_view pattern) {
  return check_text(where, pattern, kCachePatternMax);
}

Result<void> check_get(const CacheGet& request) {
  RD_CHECK(check_key("key", request.key));
  if (request.lease) {
    RD_CHECK(check_duration("lease", *request.lease, kCacheLeaseMin, kCacheLeaseMax));
  } else if (request.wait > Duration(0)) {
    return wrong("wait", "needs a lease: without one there is no fill to wait for", "required");
  }
  return check_duration("wait", request.wait, Duration(0), kCacheWaitMax);
}

Result<void> check_put(std::string_view where, const CachePut& request,
                       const CacheOptions& options) {
  RD_CHECK(check_key(at(where, "key"), request.key));
  RD_CHECK(check_content_type(at(where, "content_type"), request.content_type));
  if (request.tags.size() > kCacheTagsMax) {
    return wrong(at(where, "tags"), fmt::format("must have at most {} tags", kCacheTagsMax),
                 "length");
  }
  for (const std::string& tag : request.tags) {
    RD_CHECK(check_tag(at(where, "tags"), tag));
  }
  if (request.ttl) {
    RD_CHECK(check_duration(at(where, "ttl"), *request.ttl, kCacheTtlMin, kCacheTtlMax));
  }
  RD_CHECK(check_duration(at(where, "stale_for"), request.stale_for, Duration(0), kCacheTtlMax));
  RD_CHECK(check_duration(at(where, "stale_if_error"), request.stale_if_error, Duration(0),
                          kCacheTtlMax));
  return check_size(request, options);
}

Result<void> check_invalidation(const CacheInvalidation& request) {
  const std::size_t count = request.tags.size() + request.prefixes.size() + request.patterns.size();
  if (count == 0 && !request.everything) {
    return wrong("", "name at least one of tags, prefixes and patterns", "required");
  }
  if (count > kCacheInvalidationsMax) {
    return wrong("",
                 fmt::format("at most {} tags, prefixes and patterns in one call; there are {}",
                             kCacheInvalidationsMax, count),
                 "length");
  }
  for (const std::string& tag : request.tags) {
    RD_CHECK(check_tag("tags", tag));
  }
  for (const std::string& prefix : request.prefixes) {
    RD_CHECK(check_key("prefixes", prefix));
  }
  for (const std::string& pattern : request.patterns) {
    RD_CHECK(check_pattern("patterns", pattern));
  }
  return {};
}

Result<void> check_release(const CacheRelease& request) {
  RD_CHECK(check_key("key", request.key));
  if (request.lease.empty()) return wrong("lease", "is required", "required");
  return check_duration("retry_after", request.retry_after, Duration(0), kCacheRetryMax);
}

}  // namespace redoubt::cache
