#include "record/write_metrics.hpp"

#include <chrono>

namespace redoubt::record {
namespace {

constexpr const char* kWrites = "redoubt_record_writes_total";
constexpr const char* kWritesHelp = "Units of work by outcome.";

}  // namespace

WriteMetrics::WriteMetrics(Metrics& metrics)
    : commit_duration(metrics.histogram("redoubt_record_commit_duration_seconds",
                                        "From the start of a batch to its durable commit.")),
      batches(metrics.counter("redoubt_record_batches_total", "Transactions committed.")),
      units(metrics.counter("redoubt_record_batch_units_total",
                            "Units of work in committed transactions.")),
      written(metrics.counter(kWrites, kWritesHelp, {{"result", "ok"}})),
      refused(metrics.counter(kWrites, kWritesHelp, {{"result", "refused"}})),
      unavailable(metrics.counter(kWrites, kWritesHelp, {{"result", "unavailable"}})),
      overloaded(metrics.counter(kWrites, kWritesHelp, {{"result", "overloaded"}})),
      late(metrics.counter(kWrites, kWritesHelp, {{"result", "late"}})) {}

void WriteMetrics::count(const Result<void>& result) {
  if (result) {
    written.add();
  } else if (result.error().code == Errc::unavailable) {
    unavailable.add();
  } else {
    refused.add();
  }
}

Error too_many_writes() {
  Error error =
      redoubt::unavailable("record_overloaded", "Too many writes are waiting; try again shortly.");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

Error too_late() {
  return {Errc::deadline_exceeded, "deadline_exceeded",
          "The deadline of the request passed before the work began; nothing was done."};
}

}  // namespace redoubt::record
