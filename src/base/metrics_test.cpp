#include "base/metrics.hpp"

#include "base/clock.hpp"
#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <thread>

namespace redoubt {
namespace {

using ::testing::HasSubstr;

std::string temporary_path(const std::string& name) {
  return ::testing::TempDir() + "redoubt_" + std::to_string(::getpid()) + "_" + name;
}

struct Lint {
  int status = -1;
  std::string output;
};

Lint promtool_check(const std::string& exposition) {
  const std::string path = temporary_path("exposition.txt");
  std::ofstream(path) << exposition;
  Lint lint;
  const std::string command = "promtool check metrics < '" + path + "' 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return lint;
  char chunk[4096];
  while (std::fgets(chunk, sizeof chunk, pipe) != nullptr) lint.output += chunk;
  const int status = ::pclose(pipe);
  lint.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ::unlink(path.c_str());
  return lint;
}

void populate(Metrics& metrics) {
  metrics.counter("redoubt_http_requests_total", "Requests answered.", {{"status", "2xx"}}).add(3);
  metrics.counter("redoubt_http_requests_total", "Requests answered.", {{"status", "4xx"}}).add();
  metrics.gauge("redoubt_cache_bytes", "Bytes held. A backslash \\ and\na line.").set(12.5);
  Histogram& seconds =
      metrics.histogram("redoubt_http_request_seconds", "Latency.", {{"route", "/a\"b\\c\nd"}});
  seconds.observe_ns(100'000);         // On a bound: in that bucket.
  seconds.observe_ns(100'001);         // Just behind it.
  seconds.observe_ns(-5);              // A clock that went back counts as no time.
  seconds.observe_ns(60'000'000'000);  // Beyond the last bound.
  metrics.gauge_callback("redoubt_queue_entries", "Waiting.", {}, [] { return 7.0; });
  metrics.counter_callback("redoubt_log_lines_dropped_total", "Lines given up.", {},
                           [] { return 2.0; });
}

TEST(Metrics, PrometheusTextIsCleanForPromtool) {
  Metrics metrics;
  populate(metrics);
  register_process_metrics(metrics);

  const Lint lint = promtool_check(metrics.prometheus_text());

  EXPECT_EQ(lint.status, 0) << "promtool must be on the PATH (Debian: apt-get install prometheus)";
  EXPECT_EQ(lint.output, "");
}

TEST(Metrics, PromtoolWouldNoticeAnError) {
  const Lint lint = promtool_check("# TYPE a counter\na{b=} 1\n");
  EXPECT_NE(lint.status, 0);
  EXPECT_NE(lint.output, "");
}

TEST(Metrics, PrometheusTextIsSortedEscapedAndCumulative) {
  Metrics metrics;
  populate(metrics);

  EXPECT_EQ(metrics.prometheus_text(),
            R"(# HELP redoubt_cache_bytes Bytes held. A backslash \\ and\na line.
# TYPE redoubt_cache_bytes gauge
redoubt_cache_bytes 12.5
# HELP redoubt_http_request_seconds Latency.
# TYPE redoubt_http_request_seconds histogram
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.0001"} 2
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.00025"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.0005"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.001"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.0025"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.005"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.01"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.025"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.05"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.1"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.25"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="0.5"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="1.0"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="2.5"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="5.0"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="10.0"} 3
redoubt_http_request_seconds_bucket{route="/a\"b\\c\nd",le="+Inf"} 4
redoubt_http_request_seconds_sum{route="/a\"b\\c\nd"} 60.000200001
redoubt_http_request_seconds_count{route="/a\"b\\c\nd"} 4
# HELP redoubt_http_requests_total Requests answered.
# TYPE redoubt_http_requests_total counter
redoubt_http_requests_total{status="2xx"} 3
redoubt_http_requests_total{status="4xx"} 1
# HELP redoubt_log_lines_dropped_total Lines given up.
# TYPE redoubt_log_lines_dropped_total counter
redoubt_log_lines_dropped_total 2
# HELP redoubt_queue_entries Waiting.
# TYPE redoubt_queue_entries gauge
redoubt_queue_entries 7
)");
}

TEST(Metrics, OpenMetricsNamesCounterFamiliesWithoutTotalAndEnds) {
  Metrics metrics;
  populate(metrics);

  const std::string text = metrics.openmetrics_text();

  EXPECT_THAT(text, HasSubstr("# TYPE redoubt_http_requests counter\n"
                              "redoubt_http_requests_total{status=\"2xx\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE redoubt_cache_bytes gauge\n"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 4\n"));
  EXPECT_TRUE(text.ends_with("\n# EOF\n"));
  EXPECT_EQ(text.find("# EOF"), text.size() - 6);
}

TEST(Metrics, AnEmptyRegistryIsStillAnExposition) {
  const Metrics metrics;
  EXPECT_EQ(metrics.prometheus_text(), "");
  EXPECT_EQ(metrics.openmetrics_text(), "# EOF\n");
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameObject) {
  Metrics metrics;
  Counter& a = metrics.counter("redoubt_a_total", "A.", {{"x", "1"}});

  EXPECT_EQ(&metrics.counter("redoubt_a_total", "A.", {{"x", "1"}}), &a);
  EXPECT_NE(&metrics.counter("redoubt_a_total", "A.", {{"x", "2"}}), &a);
}

TEST(Metrics, ValuesThatAreNotFiniteHaveNames) {
  Metrics metrics;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  metrics.gauge("redoubt_a", "A.").set(kInfinity);
  metrics.gauge("redoubt_b", "B.").set(-kInfinity);
  metrics.gauge("redoubt_c", "C.").set(std::numeric_limits<double>::quiet_NaN());

  const std::string text = metrics.prometheus_text();

  EXPECT_THAT(text, HasSubstr("redoubt_a +Inf\n"));
  EXPECT_THAT(text, HasSubstr("redoubt_b -Inf\n"));
  EXPECT_THAT(text, HasSubstr("redoubt_c NaN\n"));
}

TEST(Metrics, CountsEverythingThatManyThreadsAdd) {
  Metrics metrics;
  Counter& counter = metrics.counter("redoubt_a_total", "A.");
  Histogram& histogram = metrics.histogram("redoubt_b_seconds", "B.");
  Gauge& gauge = metrics.gauge("redoubt_c", "C.");
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2 * kMetricShards; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        counter.add(2);
        histogram.observe_ns(1'000'000);
        gauge.add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(counter.value(), 64'000u);
  EXPECT_EQ(histogram.buckets()[3], 32'000u);
  EXPECT_DOUBLE_EQ(histogram.sum_seconds(), 32.0);
  EXPECT_EQ(gauge.value(), 32'000.0);
}

TEST(MetricsDeathTest, StopsOnMisuse) {
  Metrics metrics;
  metrics.gauge("redoubt_a", "A.");

  EXPECT_DEATH(metrics.counter("redoubt_a", "A."), "end in _total");
  EXPECT_DEATH(metrics.gauge("redoubt_b_total", "B."), "end in _total");
  EXPECT_DEATH(metrics.histogram("redoubt_a", "A."), "two types or two help texts");
  EXPECT_DEATH(metrics.gauge("redoubt_a", "Another."), "two types or two help texts");
  EXPECT_DEATH(metrics.gauge("redoubt-a", "A."), "not a metric name");
  EXPECT_DEATH(metrics.gauge("redoubt_a", "A.", {{"a-b", "c"}}), "not a label name");
}

double value_of(const std::string& text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    const bool found = line.starts_with(name) && line.size() > name.size() &&
                       (line[name.size()] == ' ' || line[name.size()] == '{');
    if (found) return std::stod(std::string(line.substr(line.rfind(' '))));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TEST(ProcessMetrics, TellWhatTheKernelTells) {
  Metrics metrics;
  register_process_metrics(metrics);

  const std::string text = metrics.prometheus_text();

  EXPECT_GE(value_of(text, "process_cpu_seconds_total"), 0.0);
  EXPECT_GT(value_of(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GE(value_of(text, "process_open_fds"), 3.0);
  EXPECT_GT(value_of(text, "process_max_fds"), value_of(text, "process_open_fds"));
  const double now = static_cast<double>(SystemClock().wall().ms) / 1000;
  EXPECT_LT(value_of(text, "process_start_time_seconds"), now + 2);
  EXPECT_GT(value_of(text, "process_start_time_seconds"), now - 600);
  EXPECT_EQ(value_of(text, "redoubt_build_info"), 1.0);
  EXPECT_THAT(text, HasSubstr("redoubt_build_info{version=\""));
}

TEST(ProcessMetrics, SeeADescriptorThatIsOpened) {
  Metrics metrics;
  register_process_metrics(metrics);
  const double before = value_of(metrics.prometheus_text(), "process_open_fds");
  const int copy = ::dup(STDIN_FILENO);

  EXPECT_EQ(value_of(metrics.prometheus_text(), "process_open_fds"), before + 1);

  ::close(copy);
}

}  // namespace
}  // namespace redoubt
