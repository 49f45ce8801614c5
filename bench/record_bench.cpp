// What the record costs: durable writes by concurrent callers, beside a bare SQLite loop that
// commits as many rows per transaction; and point reads, inline and through a thread.
//
//   record_bench [directory] [seconds] [writers]...
//   record_bench --bare [directory] [seconds] [rows per commit]
//
// The second form is only the bare loop, and prints its rows per second.
// The directory decides which disk is synced; default: the current one.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/sqlite_record.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;

namespace redoubt {
namespace {

constexpr int kRowBytes = 300;
constexpr sql::Statement kCreate{
    "CREATE TABLE IF NOT EXISTS bench (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, payload BLOB "
    "NOT NULL) STRICT"};
constexpr sql::Statement kInsert{"INSERT INTO bench (owner, payload) VALUES ($1, $2)"};
constexpr sql::Statement kSelect{"SELECT owner, payload FROM bench WHERE id = $1"};

const SystemClock wall_clock;

double now_seconds() {
  return static_cast<double>(wall_clock.boot().ns) / 1e9;
}

double percentile(std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(p * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(rank));
  return values[rank];
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "record_bench: {}\n", why);
  std::exit(1);
}

// The floor: one thread, one prepared INSERT, `per_commit` rows in each synced transaction.
double bare_rows_per_second(const std::string& path, int per_commit, double seconds) {
  sqlite3* db = nullptr;
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) give_up("cannot open " + path);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", nullptr, nullptr, nullptr);
  sqlite3_exec(db, std::string(kCreate.text).c_str(), nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO bench (owner, payload) VALUES (?1, ?2)", -1, &insert,
                     nullptr);
  const std::string payload(kRowBytes, 'x');

  std::int64_t rows = 0;
  const double started = now_seconds();
  while (now_seconds() - started < seconds) {
    sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    for (int i = 0; i < per_commit; ++i, ++rows) {
      sqlite3_bind_text(insert, 1, "user-000001", -1, SQLITE_STATIC);
      sqlite3_bind_blob(insert, 2, payload.data(), kRowBytes, SQLITE_STATIC);
      if (sqlite3_step(insert) != SQLITE_DONE) give_up(sqlite3_errmsg(db));
      sqlite3_reset(insert);
    }
    if (sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK) give_up("COMMIT");
  }
  const double elapsed = now_seconds() - started;
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return static_cast<double>(rows) / elapsed;
}

Task<void> insert_row(sql::Transaction& tx, const std::string& payload) {
  const std::string_view owner = "user-000001";
  const ByteView bytes = as_bytes(payload);
  RD_CO_CHECK(co_await tx.run(kInsert, {owner, bytes}));
  co_return Result<void>{};
}

asio::awaitable<void> write_until(record::Record& record, double deadline,
                                  std::vector<double>& latencies) {
  const std::string payload(kRowBytes, 'x');
  while (now_seconds() < deadline) {
    const double started = now_seconds();
    std::function<Task<void>(record::Unit&)> work = [&payload](record::Unit& unit) {
      return insert_row(unit, payload);
    };
    const Result<void> done = co_await record.write_unit(std::move(work));
    if (!done) give_up(done.error().message + " " + done.error().cause);
    latencies.push_back(now_seconds() - started);
  }
}

struct Throughput {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double units_per_commit = 0;
};

// `writers` coroutines spread over `threads` event loops, each waiting for its own commit.
Throughput record_writes(record::Record& record, int writers, int threads, double seconds) {
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(writers));
  const record::Status before = record.status();
  const double started = now_seconds();
  std::vector<std::thread> loops;
  for (int t = 0; t < threads; ++t) {
    loops.emplace_back([&, t] {
      asio::io_context io(1);
      for (int w = t; w < writers; w += threads) {
        asio::co_spawn(
            io, write_until(record, started + seconds, latencies[static_cast<std::size_t>(w)]),
            [](std::exception_ptr) {});
      }
      io.run();
    });
  }
  for (std::thread& loop : loops) loop.join();
  const double elapsed = now_seconds() - started;
  const record::Status after = record.status();

  std::vector<double> all;
  for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
  Throughput out;
  out.per_second = static_cast<double>(all.size()) / elapsed;
  out.p50_ms = percentile(all, 0.50) * 1e3;
  out.p99_ms = percentile(all, 0.99) * 1e3;
  out.units_per_commit =
      static_cast<double>(after.writes - before.writes) /
      static_cast<double>(std::max<std::int64_t>(1, after.commits - before.commits));
  return out;
}

Task<std::int64_t> select_row(sql::Transaction& tx, std::int64_t id) {
  RD_CO_TRY(rows, co_await tx.run(kSelect, {id}));
  co_return std::ssize(rows.rows);
}

asio::awaitable<void> read_inline(record::Record& record, int count) {
  for (int i = 0; i < count; ++i) {
    const std::int64_t id = 1 + i * 7919 % 20'000;
    std::function<Task<std::int64_t>(sql::Transaction&)> work = [id](sql::Transaction& tx) {
      return select_row(tx, id);
    };
    const Result<std::int64_t> found = co_await record.read<std::int64_t>(work);
    if (!found || *found != 1) give_up("read");
  }
}

// What handing the same read to a thread would add: there and back, nothing done there.
asio::awaitable<void> hop(asio::thread_pool& pool, int count) {
  const auto home = co_await asio::this_coro::executor;
  for (int i = 0; i < count; ++i) {
    co_await asio::post(pool, asio::use_awaitable);
    co_await asio::post(home, asio::use_awaitable);
  }
}

double microseconds_each(asio::awaitable<void> task, int count) {
  asio::io_context io(1);
  const double started = now_seconds();
  asio::co_spawn(io, std::move(task), [](std::exception_ptr) {});
  io.run();
  return (now_seconds() - started) / count * 1e6;
}

Task<void> create_table(record::Unit& unit) {
  RD_CO_CHECK(co_await unit.run(kCreate));
  co_return Result<void>{};
}

void report_reads(record::Record& record) {
  constexpr int kReads = 100'000;
  constexpr int kHops = 20'000;
  const double read = microseconds_each(read_inline(record, kReads), kReads);
  asio::thread_pool pool(1);
  const double hops = microseconds_each(hop(pool, kHops), kHops);
  fmt::print("point read inline            {:8.2f} us\n", read);
  fmt::print("thread there and back, empty {:8.2f} us  ({:.1f} x the read)\n", hops, hops / read);
}

std::filesystem::path fresh_folder(const std::filesystem::path& directory) {
  const std::filesystem::path folder = directory / "record_bench.tmp";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

int run_bare(const std::filesystem::path& directory, double seconds, int per_commit) {
  const std::filesystem::path folder = fresh_folder(directory);
  fmt::print("{:.0f}\n", bare_rows_per_second(folder / "bare.db", per_commit, seconds));
  std::filesystem::remove_all(folder);
  return 0;
}

int run(const std::filesystem::path& directory, double seconds, const std::vector<int>& counts) {
  const std::filesystem::path folder = fresh_folder(directory);

  SystemClock clock;
  Metrics metrics;
  record::SqliteRecordOptions options;
  options.path = folder / "record.db";
  auto record = record::open_sqlite_record(options, clock, null_log(), metrics);
  if (!record) give_up(record.error().message);
  asio::io_context io;
  std::function<Task<void>(record::Unit&)> create = create_table;
  asio::co_spawn(io, (*record)->write_unit(create), [](std::exception_ptr, Result<void>) {});
  io.run();

  fmt::print("{:<34}{:>10}{:>8}{:>9}{:>9}{:>8}\n", "", "rows/s", "ratio", "p50 ms", "p99 ms",
             "batch");
  for (const int writers : counts) {
    const std::string bare = folder / fmt::format("bare_{}.db", writers);
    const double floor = bare_rows_per_second(bare, writers, seconds);
    fmt::print("bare SQLite, {:>3} rows per commit   {:>10.0f}\n", writers, floor);
    for (const int threads : {1, 2}) {
      if (threads > writers) continue;
      const Throughput t = record_writes(**record, writers, threads, seconds);
      fmt::print(
          "record, {:>3} writers on {} thread(s) {:>10.0f}{:>8.2f}{:>9.2f}{:>9.2f}{:>8.1f}\n",
          writers, threads, t.per_second, t.per_second / floor, t.p50_ms, t.p99_ms,
          t.units_per_commit);
    }
  }
  report_reads(**record);
  (*record)->stop();
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  const bool bare = !args.empty() && args.front() == "--bare";
  if (bare) args.erase(args.begin());
  const std::filesystem::path directory = !args.empty() ? args[0] : ".";
  const double seconds = args.size() > 1 ? std::atof(args[1].c_str()) : 3.0;
  std::vector<int> writers;
  for (std::size_t i = 2; i < args.size(); ++i) writers.push_back(std::atoi(args[i].c_str()));
  if (bare) return redoubt::run_bare(directory, seconds, writers.empty() ? 64 : writers.front());
  if (writers.empty()) writers = {1, 8, 64, 256};
  return redoubt::run(directory, seconds, writers);
}
