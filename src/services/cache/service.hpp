// How the composition root makes the cache: one engine for all workers, subscribed to the journal
// before the first request, and one Cache per worker over it.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/timers.hpp>

#include <memory>

namespace redoubt::cache {

class CacheEngine;

// REQUIRES: clock, random and metrics outlive it, and random may be used by all workers.
std::shared_ptr<CacheEngine> make_cache_engine(const CacheOptions& options, Clock& clock,
                                               Random& random, Metrics& metrics);

// For Record::subscribe: an invalidation takes effect here.
record::JournalListener cache_listener(std::shared_ptr<CacheEngine> engine);

std::unique_ptr<Cache> make_cache(std::shared_ptr<CacheEngine> engine, record::Record& record,
                                  Timers& timers, Log& log);

}  // namespace redoubt::cache
