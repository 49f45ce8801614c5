// How the composition root makes the cache: one engine for all workers, subscribed to the journal
// before the first request, and one Cache per worker over it.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"
#include "shared/copies.hpp"
#include "shared/eras.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/timers.hpp>

#include <functional>
#include <memory>

namespace redoubt::cache {

class CacheEngine;
struct CacheCopiesParts;  // copies.hpp

// REQUIRES: record, clock, random and metrics outlive it, and random may be used by all workers.
// `eras`: of the shared tier, if there is one; it outlives it too.
std::shared_ptr<CacheEngine> make_cache_engine(const CacheOptions& options,
                                               const record::Record& record, Clock& clock,
                                               Random& random, Metrics& metrics,
                                               const shared::Eras* eras = nullptr);

// While `answers` says no of a key, it is not found. Once, before the first request; any thread
// calls it then.
void answer_while(CacheEngine& engine, std::function<bool(const shared::CopyName&)> answers);

// For Record::subscribe: an invalidation takes effect here.
record::JournalListener cache_listener(std::shared_ptr<CacheEngine> engine);

std::unique_ptr<Cache> make_cache(std::shared_ptr<CacheEngine> engine, record::Record& record,
                                  Timers& timers, Log& log);

// With copies in the shared tier. REQUIRES: the engine has its eras.
std::unique_ptr<Cache> make_shared_cache(std::shared_ptr<CacheEngine> engine,
                                         record::Record& record, Timers& timers, Log& log,
                                         const CacheCopiesParts& copies);

}  // namespace redoubt::cache
