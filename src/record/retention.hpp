// Retention: each class of rows is kept for its time and then deleted, a batch per unit of work, so
// that nobody waits behind a large clean-up.
//
// Threads: add() before the first run_once(); one run at a time.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace redoubt::record {

struct RetentionClass {
  std::string name;  // "audit"; a label of a metric, so one of a closed set.
  Duration keep{0};  // Zero or less: for ever.
  // Deletes at most `batch` rows older than `cutoff` and says how many.
  std::function<Task<std::int64_t>(Unit&, WallTime cutoff, std::int64_t batch)> trim;
};

// The audit trail's; it stays verifiable from the cut on (record/audit.hpp).
RetentionClass audit_retention(Duration keep);

// The epochs of users; `keep` is longer than any token lives.
RetentionClass user_epoch_retention(Duration keep);

class Retention {
 public:
  Retention(Record& record, Clock& clock, Log& log, Metrics& metrics);

  void add(RetentionClass rows);

  // Deletes everything that is due, in units of `batch` rows, and returns how many rows. A class
  // that fails does not keep the others; the first error is returned after all were tried.
  // Deletes nothing while the wall clock is over an hour further from where it was at the start
  // than the time that has passed: a clock set wrongly would make everything old at once. A clock
  // that was set right by so much is believed after a restart.
  Task<std::int64_t> run_once(std::int64_t batch);

 private:
  struct Entry {
    RetentionClass rows;
    Counter* deleted;
  };
  Duration wall_ahead() const;
  Task<std::int64_t> trim(Entry& entry, WallTime cutoff, std::int64_t batch);

  Record& record_;
  Clock& clock_;
  Log& log_;
  Metrics& metrics_;
  const WallTime wall_at_start_;
  const BootTime boot_at_start_;
  std::vector<Entry> entries_;
};

}  // namespace redoubt::record
