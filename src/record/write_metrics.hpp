// What the writers of every engine count.
#pragma once

#include "base/metrics.hpp"

#include <redoubt/result.hpp>

namespace redoubt::record {

struct WriteMetrics {
  explicit WriteMetrics(Metrics& metrics);

  // One unit of work that was answered so.
  void count(const Result<void>& result);

  Histogram& commit_duration;
  Counter& batches;
  Counter& units;
  Counter& written;
  Counter& refused;
  Counter& unavailable;
  Counter& overloaded;
  Counter& late;  // Not begun: nobody waited any longer.
};

// The answer to a write that finds the queue full.
Error too_many_writes();

// The answer to work that was not begun in time.
Error too_late();

}  // namespace redoubt::record
