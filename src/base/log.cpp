#include "base/log.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace redoubt {
namespace {

constexpr std::size_t kQueuedLinesMax = 8192;
constexpr std::size_t kValueBytesMax = 4096;
// poll() calls a pipe writable when PIPE_BUF bytes fit, so that a write of no more cannot block.
constexpr std::size_t kWriteMax = 4096;
constexpr int kPollMs = 100;
constexpr int kClosingPollsMax = 10;
constexpr std::chrono::seconds kFlushMax{1};

struct LevelName {
  std::string_view json;
  std::string_view text;
  std::string_view colour;
};

constexpr std::array<LevelName, 4> kLevelNames{{{"debug", "DEBUG", "\x1b[2m"},
                                                {"info", "INFO ", "\x1b[32m"},
                                                {"warn", "WARN ", "\x1b[33m"},
                                                {"error", "ERROR", "\x1b[31m"}}};
constexpr std::string_view kColourOff = "\x1b[0m";

const LevelName& name_of(LogLevel level) {
  return kLevelNames[std::min(static_cast<std::size_t>(level), kLevelNames.size() - 1)];
}

void append_number(std::string& out, double number) {
  const bool whole = std::trunc(number) == number && std::abs(number) <= 9007199254740992.0;
  if (whole) {
    append_int(out, static_cast<std::int64_t>(number));
  } else if (std::isfinite(number)) {
    fmt::format_to(std::back_inserter(out), "{}", number);
  } else {
    out += "null";
  }
}

std::string_view cut(std::string_view text) {
  if (text.size() <= kValueBytesMax) return text;
  std::size_t end = kValueBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// Everything a reader or a terminal could take for structure is quoted and escaped, DEL and the C1
// control characters (U+0080..U+009F) included.
void append_text_value(std::string& out, std::string_view text) {
  const auto bare = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; };
  if (!text.empty() && std::ranges::all_of(text, bare)) {
    out += text;
    return;
  }
  std::string quoted;
  append_json_string(quoted, text);
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    const auto byte = static_cast<unsigned char>(quoted[i]);
    const auto next = static_cast<unsigned char>(i + 1 < quoted.size() ? quoted[i + 1] : 0);
    if (byte == 0x7f) {
      out += "\\u007f";
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", next);
      ++i;
    } else {
      out += quoted[i];
    }
  }
}

std::string json_line(WallTime now, LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  std::string line = R"({"time":")";
  line += format_rfc3339(now);
  line += R"(","level":")";
  line += name_of(level).json;
  line += R"(","event":)";
  append_json_string(line, event);
  for (const LogField& field : fields) {
    line += ',';
    append_json_string(line, field.key);
    line += ':';
    if (field.is_number) {
      append_number(line, field.number);
    } else {
      append_json_string(line, cut(field.text));
    }
  }
  line += "}\n";
  return line;
}

std::string text_line(WallTime now, LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields, bool colour) {
  std::string line = format_rfc3339(now);
  line += ' ';
  if (colour) line += name_of(level).colour;
  line += name_of(level).text;
  if (colour) line += kColourOff;
  line += ' ';
  append_text_value(line, event);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (field.is_number) {
      append_number(line, field.number);
    } else {
      append_text_value(line, cut(field.text));
    }
  }
  line += '\n';
  return line;
}

// A bounded queue of lines and the one thread that writes them.
class LineWriter {
 public:
  explicit LineWriter(int descriptor) : descriptor_(descriptor), thread_([this] { run(); }) {}

  ~LineWriter() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void push(std::string line) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= kQueuedLinesMax) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      queue_.push_back(std::move(line));
      if (queue_.size() > 1) return;  // The writer has been told already.
    }
    wake_.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex_);
    written_.wait_for(lock, kFlushMax, [this] { return queue_.empty() && !writing_; });
  }

  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run() {
    // Signals are for other threads, and a reader that went away is an error here, not a death.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::vector<std::string> batch;
    while (take(batch)) {
      for (const std::string& line : batch) {
        if (!write_line(line)) dropped_.fetch_add(1, std::memory_order_relaxed);
      }
      batch.clear();
    }
  }

  // Waits for lines; false when closing and none are left.
  bool take(std::vector<std::string>& batch) {
    std::unique_lock lock(mutex_);
    writing_ = false;
    if (queue_.empty()) written_.notify_all();
    wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    batch.swap(queue_);
    writing_ = !batch.empty();
    return !batch.empty();
  }

  bool write_line(std::string_view line) {
    while (!line.empty()) {
      if (!wait_writable()) return false;
      const ssize_t n = ::write(descriptor_, line.data(), std::min(line.size(), kWriteMax));
      if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
      if (n > 0) {
        line.remove_prefix(static_cast<std::size_t>(n));
        closing_polls_ = 0;
      }
    }
    return true;
  }

  // Waits as long as it takes, but when closing gives a sink that takes nothing one second in all.
  bool wait_writable() {
    while (closing_polls_ < kClosingPollsMax) {
      pollfd sink{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      const int ready = ::poll(&sink, 1, kPollMs);
      if (ready > 0) return (sink.revents & POLLOUT) != 0;
      if (ready < 0 && errno != EINTR) return false;
      const std::lock_guard lock(mutex_);
      if (closing_) ++closing_polls_;
    }
    return false;
  }

  const int descriptor_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  std::vector<std::string> queue_;
  bool closing_ = false;
  bool writing_ = false;   // Lines that left the queue are not all out.
  int closing_polls_ = 0;  // The writer's own.
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;  // Last: it uses the rest.
};

class StreamLog final : public Log {
 public:
  StreamLog(int descriptor, const Clock& clock, LogLevel level, bool text, bool colour)
      : clock_(clock), level_(level), text_(text), colour_(colour), writer_(descriptor) {}

  bool enabled(LogLevel level) const override { return level >= level_ && level != LogLevel::off; }

  void write(LogLevel level, std::string_view event,
             std::initializer_list<LogField> fields) override {
    if (!enabled(level)) return;
    const WallTime now = clock_.wall();
    writer_.push(text_ ? text_line(now, level, event, fields, colour_)
                       : json_line(now, level, event, fields));
  }

  void flush() override { writer_.flush(); }
  std::uint64_t dropped() const override { return writer_.dropped(); }

 private:
  const Clock& clock_;
  const LogLevel level_;
  const bool text_;
  const bool colour_;
  LineWriter writer_;
};

class NullLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

// https://no-color.org: any value that is not empty.
bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

}  // namespace

std::unique_ptr<Log> make_log_to(int descriptor, const Clock& clock, LogLevel level,
                                 LogFormat format) {
  const bool terminal = ::isatty(descriptor) == 1;
  const bool text = format == LogFormat::text || (format == LogFormat::automatic && terminal);
  return std::make_unique<StreamLog>(descriptor, clock, level, text, terminal && colour_wanted());
}

std::unique_ptr<Log> make_log(const Clock& clock, LogLevel level, LogFormat format) {
  return make_log_to(STDERR_FILENO, clock, level, format);
}

Log& null_log() {
  static NullLog log;
  return log;
}

}  // namespace redoubt
