// Audit entries that nobody waits for: refusals, and changes that need no commit of their own. They
// are written a few seconds later, together; what waits when the process is killed is lost.
//
// Refusals are bounded for each principal, so that a caller who keeps asking for what it may not do
// fills neither the trail nor the disk.
//
// Threads: any.
#pragma once

#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace redoubt::record {

class LaterAudit {
 public:
  static constexpr int kDenialsAMinute = 10;  // Of one principal; the rest are counted only.
  static constexpr std::size_t kWaitingMax = 4096;

  LaterAudit(const Clock& clock, Metrics& metrics);

  void note(AuditEvent event);
  void note_denial(AuditEvent event);  // Sets the outcome.

  // Errors: those of the record; what was not written waits on.
  Task<void> flush(Record& record);

 private:
  struct Allowance {
    BootTime since;
    int used = 0;
  };
  bool may_deny(const AuditEvent& event);
  void put_back(std::vector<AuditEvent> events);

  const Clock& clock_;
  Counter& dropped_;

  std::mutex mutex_;  // Of all below.
  std::vector<AuditEvent> waiting_;
  std::map<std::string, Allowance> allowances_;
};

}  // namespace redoubt::record
