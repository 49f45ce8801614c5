// Whether the record can be used at present: what the status, the gauges and the log say about it.
// It is down while writes fail, and while it is out of reach. One log line for each change of the
// state, however many writes fail in between.
//
// Threads: any.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace redoubt::record {

class Availability {
 public:
  Availability(Clock& clock, Log& log, Metrics& metrics);

  // What a failed write was stopped by.
  enum class By : std::uint8_t { refusal, way };

  // Of writes.
  void failed(std::string_view reason, const std::string& cause, By by = By::refusal);
  void succeeded();

  // Of the way to the database, where there is one. Reaching it again ends what the way was the
  // reason of, and nothing else.
  void unreachable(std::string_view reason, const std::string& cause);
  void reached();

  // State, reason and since; the rest is the caller's to fill in.
  Status status() const;

 private:
  void settle(const std::string& cause);

  Clock& clock_;
  Log& log_;
  Gauge& up_;
  Gauge& normal_;
  Gauge& down_;

  mutable std::mutex mutex_;  // Guards the rest.
  Status status_;
  BootTime since_;
  std::string refused_;  // Why writes fail; empty: they do not.
  By refused_by_ = By::refusal;
  std::string lost_;  // Why it cannot be reached; empty: it can.
};

}  // namespace redoubt::record
