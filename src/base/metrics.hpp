// Metrics: counters, gauges and histograms with closed label sets, exposed as Prometheus text 0.0.4
// or OpenMetrics 1.0.
//
// A handle is looked up once, when its owner is made, and is then a pointer to cells. Hot counters are
// per thread: add() on a `Counter` is an uncontended relaxed increment of the calling thread's own
// cell (threads are spread over kMetricShards cache lines), summed on exposition.
//
// Names are redoubt_<module>_<noun>_<unit>, counters end in _total; label values come from closed
// sets, never from a tenant, user, key or URL.
// Threads: any. Registration is cold and takes a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt {

inline constexpr std::size_t kMetricShards = 16;
inline constexpr std::size_t kCacheLine = 64;

// Which of the kMetricShards cells this thread uses.
std::size_t metric_shard() noexcept;

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    cells_[metric_shard()].value.fetch_add(n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept;

 private:
  struct alignas(kCacheLine) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Cell, kMetricShards> cells_;
};

class Gauge {
 public:
  void set(double v) noexcept { value_.store(v, std::memory_order_relaxed); }
  void add(double v) noexcept { value_.fetch_add(v, std::memory_order_relaxed); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Latency buckets of a sub-millisecond service: 100 us .. 10 s (docs/metrics.md).
class Histogram {
 public:
  static constexpr std::array<double, 16> kBounds{100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3,
                                                  10e-3,  25e-3,  50e-3,  100e-3, 250e-3, 500e-3,
                                                  1.0,    2.5,    5.0,    10.0};
  void observe_ns(std::int64_t ns) noexcept;
  std::array<std::uint64_t, kBounds.size() + 1> buckets() const noexcept;  // not cumulative
  double sum_seconds() const noexcept;

 private:
  struct alignas(kCacheLine) Cell {
    std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
    std::atomic<std::uint64_t> sum_ns{0};
  };
  std::array<Cell, kMetricShards> cells_;
};

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same object. REQUIRES: one type and help text per name.
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});

  // A gauge or counter whose value is asked for at exposition. `read` must be thread-safe.
  void gauge_callback(std::string_view name, std::string_view help, Labels labels,
                      std::function<double()> read);
  void counter_callback(std::string_view name, std::string_view help, Labels labels,
                        std::function<double()> read);

  std::string prometheus_text() const;   // text/plain; version=0.0.4
  std::string openmetrics_text() const;  // application/openmetrics-text; version=1.0.0

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, process_max_fds,
// process_start_time_seconds, redoubt_build_info.
void register_process_metrics(Metrics& metrics);

}  // namespace redoubt
