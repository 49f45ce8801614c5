// What a key, a tag, a pattern and a put may look like. Every error names the field and the rule.
#pragma once

#include <redoubt/cache.hpp>

#include <string>
#include <string_view>

namespace redoubt::cache {

// `where` is the field's location: "key", "entries.3.key".
Result<void> check_key(std::string_view where, std::string_view key);
Result<void> check_pattern(std::string_view where, std::string_view pattern);
Result<void> check_get(const CacheGet& request);
Result<void> check_put(std::string_view where, const CachePut& request,
                       const CacheOptions& options);
Result<void> check_invalidation(const CacheInvalidation& request);
Result<void> check_release(const CacheRelease& request);

}  // namespace redoubt::cache
