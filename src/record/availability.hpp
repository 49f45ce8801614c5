// Whether writes succeed at present: what the status, the gauge and the log say about it. One log
// line each way, however many writes fail in between.
//
// Threads: any.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <mutex>
#include <string>
#include <string_view>

namespace redoubt::record {

class Availability {
 public:
  Availability(Clock& clock, Log& log, Metrics& metrics);

  void failed(std::string_view reason, const std::string& cause);
  void succeeded();

  // State, reason and since; the rest is the caller's to fill in.
  Status status() const;

 private:
  Clock& clock_;
  Log& log_;
  Gauge& up_;

  mutable std::mutex mutex_;  // Guards the rest.
  Status status_;
  BootTime down_since_;
};

}  // namespace redoubt::record
