#include "base/log.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

namespace redoubt {
namespace {

constexpr WallTime kNow{1'795'202'562'123};  // 2026-11-20T19:22:42.123Z

class Pipe {
 public:
  Pipe() {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) ADD_FAILURE() << "no pipe";
    read_ = ends[0];
    write_ = ends[1];
  }
  ~Pipe() {
    ::close(read_);
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int writer() const { return write_; }
  int reader() const { return read_; }
  void close_writer() {
    if (write_ >= 0) ::close(write_);
    write_ = -1;
  }

  std::string read_all() {
    close_writer();
    std::string text;
    char chunk[65536];
    for (ssize_t n = ::read(read_, chunk, sizeof chunk); n > 0;
         n = ::read(read_, chunk, sizeof chunk)) {
      text.append(chunk, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  int read_ = -1;
  int write_ = -1;
};

// What `use` leaves on the log's descriptor once the log is gone.
template <class Use>
std::string written(LogLevel level, LogFormat format, const Use& use) {
  const ManualClock clock(kNow);
  Pipe pipe;
  {
    const auto log = make_log_to(pipe.writer(), clock, level, format);
    use(*log);
  }
  return pipe.read_all();
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST(Log, JsonIsOneObjectPerLine) {
  const std::string id = "ses_1";
  const std::string text = written(LogLevel::info, LogFormat::json, [&](Log& log) {
    log.info("session.created", {{"session", id}, {"user", "u1"}, {"count", 3}, {"took", 0.25}});
  });

  EXPECT_EQ(text, R"({"time":"2026-11-20T19:22:42.123Z","level":"info","event":"session.created",)"
                  R"("session":"ses_1","user":"u1","count":3,"took":0.25})"
                  "\n");
}

TEST(Log, TextIsTimeLevelEventAndFields) {
  const std::string text = written(LogLevel::debug, LogFormat::text, [](Log& log) {
    log.warn("record.slow", {{"ms", 1500}, {"query", "insert session"}, {"empty", ""}});
  });

  EXPECT_EQ(
      text,
      "2026-11-20T19:22:42.123Z WARN  record.slow ms=1500 query=\"insert session\" empty=\"\"\n");
}

TEST(Log, AutomaticIsJsonWhenItIsNotATerminal) {
  const std::string text =
      written(LogLevel::info, LogFormat::automatic, [](Log& log) { log.info("server.started"); });
  EXPECT_TRUE(text.starts_with("{\"time\":")) << text;
}

TEST(Log, WritesNothingBelowItsLevel) {
  const std::string text = written(LogLevel::warn, LogFormat::json, [](Log& log) {
    EXPECT_FALSE(log.enabled(LogLevel::info));
    EXPECT_TRUE(log.enabled(LogLevel::error));
    log.debug("a");
    log.info("b");
    log.write(LogLevel::info, "c", {});
    log.warn("d");
    log.error("e");
  });
  EXPECT_EQ(lines_in(text), 2u) << text;
}

TEST(Log, OffIsSilent) {
  EXPECT_EQ(written(LogLevel::off, LogFormat::json, [](Log& log) { log.error("x"); }), "");
  EXPECT_FALSE(null_log().enabled(LogLevel::error));
}

TEST(Log, AValueCannotForgeALineOrAField) {
  const std::string evil =
      "x\n2026-11-20T19:22:42.123Z ERROR forged a=\"b\" \x1b[31m \x7f \xc2\x9b \xff";
  const auto use = [&](Log& log) { log.info("event", {{"value", evil}}); };

  const std::string text = written(LogLevel::info, LogFormat::text, use);
  EXPECT_EQ(lines_in(text), 1u);
  EXPECT_EQ(text.substr(text.find("value=")),
            R"(value="x\n2026-11-20T19:22:42.123Z ERROR forged a=\"b\" \u001b[31m \u007f \u009b )"
            "\uFFFD\"\n");

  const std::string line = written(LogLevel::info, LogFormat::json, use);
  EXPECT_EQ(lines_in(line), 1u);
  const auto parsed = parse_json(trim(line));
  ASSERT_TRUE(parsed) << line;
  EXPECT_EQ(parsed->as_object().size(), 4u);
}

TEST(Log, CutsLongValuesBetweenCharacters) {
  std::string value(4095, 'a');
  value += "€ and more";
  const std::string text = written(LogLevel::info, LogFormat::json,
                                   [&](Log& log) { log.info("event", {{"value", value}}); });

  const auto parsed = parse_json(trim(text));
  ASSERT_TRUE(parsed) << text;
  EXPECT_EQ(parsed->at("value").as_string(), std::string(4095, 'a'));
}

TEST(Log, WritesNumbersThatAreNotFiniteAsNull) {
  const std::string text = written(LogLevel::info, LogFormat::json, [](Log& log) {
    log.info("event", {{"a", 1.0 / 0.0}, {"b", std::int64_t{1} << 53}, {"c", -2.5}});
  });
  EXPECT_NE(text.find(R"("a":null,"b":9007199254740992,"c":-2.5})"), std::string::npos) << text;
}

TEST(Log, LinesOfManyThreadsStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 200;  // 800 lines of 90 bytes do not fill the queue.
  const ManualClock clock(kNow);
  Pipe pipe;
  std::string text;
  std::thread reader;
  {
    const auto log = make_log_to(pipe.writer(), clock, LogLevel::info, LogFormat::json);
    reader = std::thread([&] {
      char chunk[4096];
      while (lines_in(text) < kThreads * kLines) {
        const ssize_t n = ::read(pipe.reader(), chunk, sizeof chunk);
        if (n <= 0) break;
        text.append(chunk, static_cast<std::size_t>(n));
      }
    });
    std::vector<std::thread> writers;
    for (int t = 0; t < kThreads; ++t) {
      writers.emplace_back([&log, t] {
        for (int i = 0; i < kLines; ++i) log->info("tick", {{"thread", t}, {"i", i}});
      });
    }
    for (std::thread& writer : writers) writer.join();
    reader.join();
    EXPECT_EQ(log->dropped(), 0u);
  }
  ASSERT_EQ(lines_in(text), static_cast<std::size_t>(kThreads * kLines));
  for (const std::string_view line : split(trim(text), '\n')) EXPECT_TRUE(parse_json(line)) << line;
}

TEST(Log, ASinkThatTakesNothingBlocksNobodyAndEveryLineIsCounted) {
  constexpr std::size_t kLines = 20'000;
  const ManualClock clock(kNow);
  Pipe pipe;
  ::fcntl(pipe.reader(), F_SETPIPE_SZ, 4096);
  std::uint64_t dropped_while_open = 0;
  {
    const auto log = make_log_to(pipe.writer(), clock, LogLevel::info, LogFormat::json);
    for (std::size_t i = 0; i < kLines; ++i) log->info("tick", {{"i", i}});
    dropped_while_open = log->dropped();
  }  // Must come back although nobody reads.

  const std::size_t arrived = lines_in(pipe.read_all());
  EXPECT_GT(arrived, 0u);
  EXPECT_GT(dropped_while_open, 0u);
  // Queued at most: one batch in the writer's hands and one full queue behind it.
  EXPECT_GE(dropped_while_open + 2 * 8192 + arrived, kLines);
  EXPECT_LE(dropped_while_open + arrived, kLines);
}

TEST(Log, AReaderThatWentAwayIsNoDeath) {
  const ManualClock clock(kNow);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  {
    const auto log = make_log_to(ends[1], clock, LogLevel::info, LogFormat::json);
    for (int i = 0; i < 10; ++i) log->info("tick");
  }
  ::close(ends[1]);
}

class TerminalLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY);
    ASSERT_GE(master_, 0);
    ASSERT_EQ(::grantpt(master_), 0);
    ASSERT_EQ(::unlockpt(master_), 0);
    terminal_ = ::open(::ptsname(master_), O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal_, 0);
  }
  void TearDown() override {
    ::unsetenv("NO_COLOR");
    ::close(terminal_);
    ::close(master_);
  }

  std::string written_line() {
    const ManualClock clock(kNow);
    make_log_to(terminal_, clock, LogLevel::info, LogFormat::automatic)->error("disk.full");
    char chunk[1024];
    const ssize_t n = ::read(master_, chunk, sizeof chunk);
    return std::string(chunk, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }

  int master_ = -1;
  int terminal_ = -1;
};

TEST_F(TerminalLogTest, IsTextWithAColouredLevel) {
  ::unsetenv("NO_COLOR");
  EXPECT_EQ(written_line(), "2026-11-20T19:22:42.123Z \x1b[31mERROR\x1b[0m disk.full\r\n");
}

TEST_F(TerminalLogTest, HasNoColourWhenNobodyWantsIt) {
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(written_line(), "2026-11-20T19:22:42.123Z ERROR disk.full\r\n");
}

}  // namespace
}  // namespace redoubt
