// Kills a writing process at random and looks whether everything it acknowledged is there.
//
//   record_crash [kills] [seed] [directory]
//
// Each round forks a child that opens the database (recovering what the last kill left) and writes
// from many coroutines at once; whatever is acknowledged goes through a pipe to the parent. The
// parent kills it with SIGKILL, sometimes while it is still opening, then opens the database itself
// and checks: every acknowledged row is there, the database is sound, and the audit trail is
// unbroken.
//
// A killed process loses nothing the kernel already has; what this shows is that an acknowledgement
// never runs ahead of its commit, and that no kill leaves a database that does not open.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "record/audit.hpp"
#include "record/sqlite_record.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

constexpr int kWriters = 32;
constexpr std::int64_t kPerRound = 1'000'000'000;  // Numbers of a round: round * kPerRound + n.
constexpr int kOpeningMs = 30;                     // Kills while opening come within this time,
constexpr int kWritingMs = 40;                     // the others so long after the first write.

constexpr sql::Statement kInsert{"INSERT INTO rd_meta (name, number) VALUES ($1, $2)"};
constexpr sql::Statement kOfRound{
    "SELECT number FROM rd_meta WHERE name LIKE 'crash.%' AND number >= $1 AND number < $2"};
constexpr sql::Statement kCount{"SELECT count(*) FROM rd_meta WHERE name LIKE 'crash.%'"};
constexpr sql::Statement kCheck{"PRAGMA integrity_check"};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "record_crash: {}\n", why);
  std::_Exit(1);
}

struct Opened {
  SystemClock clock;
  Metrics metrics;
  std::unique_ptr<Record> record;

  explicit Opened(const std::string& path) {
    SqliteRecordOptions options;
    options.path = path;
    options.checkpoint_pages = 64;  // So that kills meet checkpoints too.
    auto made = open_sqlite_record(options, clock, null_log(), metrics);
    if (!made) give_up("open: " + made.error().message + " " + made.error().cause);
    record = std::move(*made);
  }
};

// A row, and for every eighth an audit entry with it.
Task<void> write_number(Unit& unit, std::int64_t number) {
  const std::string name = fmt::format("crash.{}", number);
  RD_CO_CHECK(co_await unit.run(kInsert, {std::string_view(name), number}));
  if (number % 8 == 0) {
    AuditEvent event;
    event.tenant = "default";
    event.action = "crash.tested";
    event.target = name;
    RD_CO_CHECK(co_await unit.audit(event));
  }
  co_return Result<void>{};
}

asio::awaitable<void> write_for_ever(Record& record, std::int64_t& next, int acknowledgements) {
  for (;;) {
    const std::int64_t number = next++;
    std::function<Task<void>(Unit&)> work = [number](Unit& unit) {
      return write_number(unit, number);
    };
    const Result<void> done = co_await record.write_unit(work);
    if (!done) give_up("write: " + done.error().message + " " + done.error().cause);
    if (::write(acknowledgements, &number, sizeof number) != sizeof number) std::_Exit(0);
  }
}

[[noreturn]] void child(const std::string& path, std::int64_t first, int acknowledgements) {
  const Opened opened(path);
  asio::io_context io(1);
  std::int64_t next = first;
  for (int i = 0; i < kWriters; ++i) {
    asio::co_spawn(io, write_for_ever(*opened.record, next, acknowledgements),
                   [](std::exception_ptr) {});
  }
  io.run();
  std::_Exit(0);
}

// Reads numbers until `deadline`, until the other end is closed, or only the first.
void read_numbers(int descriptor, BootTime deadline, const Clock& clock,
                  std::set<std::int64_t>& numbers, bool until_first) {
  for (;;) {
    const auto left = std::chrono::duration_cast<Duration>(deadline - clock.boot()).count();
    if (left <= 0) return;
    pollfd ready{descriptor, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left)) <= 0) continue;
    std::int64_t number = 0;
    if (::read(descriptor, &number, sizeof number) != sizeof number) return;
    numbers.insert(number);
    if (until_first) return;
  }
}

// One life and death of a child; what it acknowledged.
std::set<std::int64_t> run_and_kill(const std::string& path, std::int64_t first,
                                    FastRandom& random) {
  int ends[2];
  if (::pipe(ends) != 0) give_up("pipe");
  const pid_t pid = ::fork();
  if (pid < 0) give_up("fork");
  if (pid == 0) {
    ::close(ends[0]);
    child(path, first, ends[1]);
  }
  ::close(ends[1]);

  const SystemClock clock;
  std::set<std::int64_t> acknowledged;
  const bool while_opening = random.next() % 4 == 0;
  const auto within = while_opening ? kOpeningMs : kWritingMs;
  const auto delay = std::chrono::microseconds(random.next() % (1'000U * unsigned(within)));
  if (!while_opening) {
    read_numbers(ends[0], clock.boot() + std::chrono::seconds(20), clock, acknowledged, true);
    if (acknowledged.empty()) give_up("the child wrote nothing in 20 s");
  }
  read_numbers(ends[0], clock.boot() + delay, clock, acknowledged, false);
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!WIFSIGNALED(status)) give_up(fmt::format("the child ended by itself: status {}", status));
  // What it wrote into the pipe before it died counts.
  read_numbers(ends[0], clock.boot() + std::chrono::seconds(5), clock, acknowledged, false);
  ::close(ends[0]);
  return acknowledged;
}

Task<std::vector<std::int64_t>> numbers_of_round(sql::Transaction& tx, std::int64_t first) {
  RD_CO_TRY(rows, co_await tx.run(kOfRound, {first, first + kPerRound}));
  std::vector<std::int64_t> numbers;
  for (const sql::Row& row : rows.rows) numbers.push_back(row.integer(0));
  co_return numbers;
}

Task<std::int64_t> count_all(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kCount));
  co_return rows[0].integer(0);
}

Task<std::string> check(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kCheck));
  co_return rows[0].text(0);
}

struct Totals {
  std::int64_t acknowledged = 0;
  std::int64_t stored = 0;  // At least as many: the last commit's callers may not have been told.
};

void verify_round(const std::string& path, std::int64_t first,
                  const std::set<std::int64_t>& acknowledged, Totals& totals) {
  const Opened opened(path);
  std::function<Task<std::vector<std::int64_t>>(sql::Transaction&)> read =
      [first](sql::Transaction& tx) { return numbers_of_round(tx, first); };
  const auto stored = test::run(opened.record->read<std::vector<std::int64_t>>(read));
  if (!stored) give_up("read: " + stored.error().cause);
  const std::set<std::int64_t> present(stored->begin(), stored->end());
  for (const std::int64_t number : acknowledged) {
    if (!present.contains(number)) give_up(fmt::format("LOST: {} was acknowledged", number));
  }
  totals.acknowledged += std::ssize(acknowledged);
  totals.stored += std::ssize(*stored);

  const auto sound = test::run(opened.record->read<std::string>(check));
  if (!sound || *sound != "ok") give_up("integrity_check: " + sound.value_or("failed"));
  const auto trail = test::run(verify_audit(*opened.record));
  if (!trail || !trail->intact) {
    give_up(trail ? fmt::format("audit trail: {} at {}", trail->problem, trail->first_bad)
                  : "audit trail: " + trail.error().cause);
  }
}

void verify_total(const std::string& path, const Totals& totals) {
  const Opened opened(path);
  const auto all = test::run(opened.record->read<std::int64_t>(count_all));
  if (!all || *all != totals.stored) {
    give_up(fmt::format("{} rows at the end, {} expected", all.value_or(-1), totals.stored));
  }
}

int run(int kills, std::uint64_t seed, const std::string& directory) {
  FastRandom random(seed);
  const std::string path = directory + "/crash.db";
  Totals totals;
  for (int round = 1; round <= kills; ++round) {
    const std::int64_t first = round * kPerRound;
    const std::set<std::int64_t> acknowledged = run_and_kill(path, first, random);
    verify_round(path, first, acknowledged, totals);
  }
  verify_total(path, totals);
  fmt::print("{} kills (seed {}): {} writes acknowledged, all there; {} stored; sound.\n", kills,
             seed, totals.acknowledged, totals.stored);
  return totals.acknowledged > 0 ? 0 : 1;
}

}  // namespace
}  // namespace redoubt::record

int main(int argc, char** argv) {
  const int kills = argc > 1 ? std::atoi(argv[1]) : 100;
  redoubt::SystemRandom entropy;
  const std::uint64_t seed =
      argc > 2 ? std::strtoull(argv[2], nullptr, 10) : entropy.next_u64() % 1'000'000;
  fmt::print("seed {}\n", seed);
  if (argc > 3) return redoubt::record::run(kills, seed, argv[3]);
  const redoubt::test::TemporaryDirectory directory;
  return redoubt::record::run(kills, seed, directory.path());
}
