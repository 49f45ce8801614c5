// What the kernel says of this process, under the names every Prometheus client library uses.
#include "base/metrics.hpp"
#include "base/text.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <limits>

#ifndef REDOUBT_REVISION
#define REDOUBT_REVISION "unknown"
#endif

namespace redoubt {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::string read_proc(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::string text;
  char chunk[4096];
  for (ssize_t n = ::read(file, chunk, sizeof chunk); n > 0;
       n = ::read(file, chunk, sizeof chunk)) {
    text.append(chunk, static_cast<std::size_t>(n));
  }
  ::close(file);
  return text;
}

double number(std::string_view text) {
  const auto value = parse_int(trim(text));
  return value ? static_cast<double>(*value) : kUnknown;
}

// Field `n` of /proc/self/stat as proc(5) counts them, from 3 on: the ones before hold the name of
// the program, which may contain anything, up to the last ')'.
double stat_field(std::size_t n) {
  const std::string text = read_proc("/proc/self/stat");
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 > text.size()) return kUnknown;
  const auto fields = split(std::string_view(text).substr(end + 2), ' ');
  return n - 3 < fields.size() ? number(fields[n - 3]) : kUnknown;
}

constexpr std::size_t kUserTime = 14;
constexpr std::size_t kSystemTime = 15;
constexpr std::size_t kStartTime = 22;

double ticks_per_second() {
  return static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double cpu_seconds() {
  return (stat_field(kUserTime) + stat_field(kSystemTime)) / ticks_per_second();
}

double resident_bytes() {
  const std::string text = read_proc("/proc/self/statm");
  const auto fields = split(text, ' ');
  if (fields.size() < 2) return kUnknown;
  return number(fields[1]) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_fds() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return kUnknown;
  int count = 0;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(directory);
  return count - 1;  // Without the one that read the directory.
}

double max_fds() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUnknown;
  if (limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<double>::infinity();
  return static_cast<double>(limit.rlim_cur);
}

double start_time_seconds() {
  const std::string text = read_proc("/proc/stat");
  for (std::string_view line : split(text, '\n')) {
    constexpr std::string_view kBootTime = "btime ";
    if (!line.starts_with(kBootTime)) continue;
    line.remove_prefix(kBootTime.size());
    return number(line) + stat_field(kStartTime) / ticks_per_second();
  }
  return kUnknown;
}

#ifdef __clang__
constexpr std::string_view kCompiler = "clang " __clang_version__;
#else
constexpr std::string_view kCompiler = "gcc " __VERSION__;
#endif

}  // namespace

void register_process_metrics(Metrics& metrics) {
  metrics.counter_callback("process_cpu_seconds_total", "User and system CPU time spent.", {},
                           cpu_seconds);
  metrics.gauge_callback("process_resident_memory_bytes", "Resident memory size.", {},
                         resident_bytes);
  metrics.gauge_callback("process_open_fds", "Open file descriptors.", {}, open_fds);
  metrics.gauge_callback("process_max_fds", "The limit on open file descriptors.", {}, max_fds);
  metrics.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
      .set(start_time_seconds());
  metrics
      .gauge("redoubt_build_info", "Always 1; the labels say what is running.",
             {{"version", REDOUBT_VERSION},
              {"revision", REDOUBT_REVISION},
              {"compiler", trim(kCompiler)}})
      .set(1);
}

}  // namespace redoubt
