// How names are invalidated: in the record, or at best effort while that is away.
#pragma once

#include "base/log.hpp"
#include "record/record.hpp"
#include "services/cache/engine.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/context.hpp>

#include <string>
#include <vector>

namespace redoubt::cache {

// What a request names, each once; one that says everything says it all. REQUIRES: it is checked.
std::vector<std::string> names_of(const CacheInvalidation& request);

class Invalidator {
 public:
  Invalidator(CacheEngine& engine, record::Record& record, Log& log)
      : engine_(engine), record_(record), log_(log) {}

  // It has taken effect in memory when it is acknowledged. More names than a tenant can remember
  // are widened to everything.
  Task<CacheInvalidated> invalidate(const Context& context, std::vector<std::string> names,
                                    bool best_effort);

 private:
  std::vector<std::string> widened(const Context& context, std::vector<std::string> names);
  Task<std::int64_t> bump(const Context& context, std::vector<std::string> names);
  bool is_away(const Error& error) const;

  CacheEngine& engine_;
  record::Record& record_;
  Log& log_;
};

}  // namespace redoubt::cache
