// Re-sealing: after a rotation every row is sealed again under the primary, in rounds over all
// nouns and keys, a batch at a time. A row that does not open is passed by, counted and reported;
// it stays as it is, and so does the key that it names.
//
// Threads: any; one run_once() at a time.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/vault.hpp"
#include "services/keys/needs.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::keys {

// Under other keys than the primary.
struct OtherRows {
  std::int64_t remaining = 0;   // Still to be sealed again.
  std::int64_t unreadable = 0;  // Passed by.
};

class Resealing {
 public:
  Resealing(KeyNeeds& needs, Vault& vault, const Clock& clock, Log& log, Metrics& metrics);

  // A new round, from the beginning.
  void begin();

  // At most `batch` rows of each noun and key. True: there is more; call again soon. False: call
  // again in a while; a count then finds what was written under other keys meanwhile.
  // Errors: those of the record. One noun that fails does not keep the others from going on.
  Task<bool> run_once(std::size_t batch);

  struct Progress {
    bool running = false;
    std::int64_t resealed = 0;  // Since begin().
    std::string trouble;
  };
  Progress progress();
  bool has_unreadable();

  // Counts.
  Task<OtherRows> other_rows();

 private:
  struct Part {
    record::Resealable* noun;
    KeyId under{};
    Bytes after;
    std::int64_t unreadable = 0;
    std::string example;
  };

  Task<bool> is_due();
  Task<void> take_up();
  Task<bool> step(std::size_t batch);
  Task<bool> step_part(Part& part, std::size_t batch);
  Task<bool> finish();
  void end();
  void report_unreadable();
  void set_trouble(std::string trouble);

  KeyNeeds& needs_;
  Vault& vault_;
  const Clock& clock_;
  Log& log_;
  Counter& resealed_total_;
  Gauge& remaining_gauge_;
  Gauge& unreadable_gauge_;

  // Of run_once().
  std::vector<Part> parts_;  // With rows left to look at.
  std::vector<Part> passed_by_;
  std::string reported_;
  BootTime reported_at_;

  std::mutex mutex_;  // Of all below.
  bool running_ = false;
  bool fresh_ = false;
  std::int64_t resealed_ = 0;
  std::int64_t unreadable_ = 0;         // Found in this round, or left over by the last one.
  std::optional<BootTime> counted_at_;  // When run_once() last found nothing to do.
  std::optional<BootTime> ended_at_;
  std::string trouble_;
};

}  // namespace redoubt::keys
