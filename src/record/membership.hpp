// Which instances run, judged by whether their heartbeats move: on the observer's own clock, so
// that nobody's wall clock matters.
//
// A plain state machine without I/O. Threads: one at a time.
#pragma once

#include <redoubt/clock.hpp>

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace redoubt::record {

struct InstanceRow {
  std::string id;
  std::int64_t heartbeat = 0;
  std::int64_t journal_seq = 0;  // It has heard everything up to here.
};

class Membership {
 public:
  // A heartbeat that has not moved for so long is of an instance that is gone, or that has stopped
  // trusting its copies.
  static constexpr std::chrono::seconds kSilence{5};

  // All rows there are. A row seen for the first time counts as having moved.
  void observe(std::span<const InstanceRow> rows, BootTime now);

  std::int64_t running(BootTime now) const;

  // Whether every running instance has heard everything up to `seq`.
  bool all_heard(std::int64_t seq, BootTime now) const;

 private:
  struct Seen {
    std::int64_t heartbeat = 0;
    std::int64_t journal_seq = 0;
    BootTime moved_at;
  };
  static bool runs(const Seen& seen, BootTime now) { return now - seen.moved_at < kSilence; }

  std::map<std::string, Seen> seen_;
};

}  // namespace redoubt::record
