// What the record on PostgreSQL costs: durable session creations by concurrent callers, beside the
// same two statements with a commit each over as many bare connections; and point reads, which
// cross over to the record's thread, beside the same on connections of the caller's own loop.
//
//   postgres_bench <url> [seconds] [writers]...
//
// CPU is that of this process alone. The database is left with the rows in it. bench/postgres
// starts a server for it and measures pgbench beside it.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "record/postgres_record.hpp"
#include "record/session_rows.hpp"
#include "record/tenant_rows.hpp"
#include "sql/postgres/connection.hpp"
#include "sql/postgres/target.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

namespace asio = boost::asio;

namespace redoubt {
namespace {

const SystemClock wall_clock;

double now_seconds() {
  return static_cast<double>(wall_clock.boot().ns) / 1e9;
}

// This process's CPU, all threads.
double used_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  return seconds + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "postgres_bench: {}\n", why);
  std::exit(1);
}

double percentile(std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + rank);
  return values[static_cast<std::size_t>(rank)];
}

record::SessionRow new_row(FastRandom& random) {
  record::SessionRow row;
  for (std::size_t i = 0; i < row.id.size(); i += 8) {
    const std::uint64_t bits = random.next();
    for (std::size_t j = 0; j < 8; ++j) row.id[i + j] = static_cast<std::uint8_t>(bits >> (8 * j));
  }
  row.tenant = "default";
  row.user = fmt::format("user-{}", random.next() % 100'000);
  row.data = Bytes(100, 1);
  row.created_at = row.last_seen_at = wall_clock.wall();
  row.idle_ttl = std::chrono::hours(1);
  row.absolute_expires_at = row.created_at + std::chrono::hours(24);
  return row;
}

Task<void> create(sql::Transaction& tx, record::SessionRow row) {
  RD_CO_TRY(standing, co_await record::tenant_standing(tx, row.tenant));
  row.tenant_epoch = standing.epoch;
  co_return co_await record::insert_session(tx, row);
}

asio::awaitable<void> create_until(record::Record& record, bool within, std::uint64_t seed,
                                   double deadline, std::vector<double>& latencies) {
  FastRandom random(seed);
  while (now_seconds() < deadline) {
    const double started = now_seconds();
    const record::SessionRow row = new_row(random);
    std::function<Task<void>(record::Unit&)> work = [&row](record::Unit& unit) {
      return create(unit, row);
    };
    record::Reach reach;
    reach.tenant = row.tenant;
    if (within) reach.keys = {"user:" + row.user};
    const auto done = co_await record.write_within(std::move(reach), std::move(work));
    if (!done) give_up(done.error().message + " " + done.error().cause);
    latencies.push_back(now_seconds() - started);
  }
}

void measure_writes(record::Record& record, bool within, int writers, double seconds) {
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(writers));
  const record::Status before = record.status();
  const double used = used_seconds();
  const double started = now_seconds();
  asio::io_context io(1);
  for (std::size_t w = 0; w < latencies.size(); ++w) {
    const auto seed = static_cast<std::uint64_t>(wall_clock.boot().ns) + w;
    asio::co_spawn(io, create_until(record, within, seed, started + seconds, latencies[w]),
                   [](std::exception_ptr) {});
  }
  io.run();
  const double elapsed = now_seconds() - started;
  const record::Status after = record.status();
  std::vector<double> all;
  for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
  const double cpu_us = (used_seconds() - used) * 1e6 / static_cast<double>(all.size());
  const double commits =
      static_cast<double>(std::max<std::int64_t>(1, after.commits - before.commits));
  fmt::print("record, {:>3} writers, {:<12}{:>9.0f}{:>9.2f}{:>9.2f}{:>8.1f}{:>8.1f}\n", writers,
             within ? "side by side" : "alone", static_cast<double>(all.size()) / elapsed,
             percentile(all, 0.5) * 1e3, percentile(all, 0.99) * 1e3,
             static_cast<double>(after.writes - before.writes) / commits, cpu_us);
}

// The floor: a connection per writer, BEGIN, SELECT, INSERT, COMMIT, each waited for.
double bare_per_second(const std::string& url, int writers, double seconds) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(writers));
  std::vector<std::thread> threads;
  const double started = now_seconds();
  for (std::size_t w = 0; w < counts.size(); ++w) {
    threads.emplace_back([&, w] {
      PGconn* connection = PQconnectdb(url.c_str());
      const auto run = [&](const std::string& sql) {
        PGresult* result = PQexec(connection, sql.c_str());
        if (PQresultStatus(result) == PGRES_FATAL_ERROR) give_up(PQerrorMessage(connection));
        PQclear(result);
      };
      run("SELECT set_config('redoubt.tenant', '*', false)");
      while (now_seconds() < started + seconds) {
        run("BEGIN");
        run("SELECT disabled_at IS NULL, epoch FROM rd_tenant WHERE id = 'default'");
        run("INSERT INTO rd_session (id, tenant, tenant_epoch, user_id, agent, device, address,"
            " verifier, data, kid, ver, created, absolute_expiry, idle_ms, last_seen, sweep_at)"
            " VALUES (uuid_send(gen_random_uuid()), 'default', 0, 'u', '', '', '',"
            " sha256('x'), repeat('x', 100)::bytea, 'kkkk', 1, 0, 0, 0, 0, 0)");
        run("COMMIT");
        ++counts[w];
      }
      PQfinish(connection);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::int64_t all = 0;
  for (const std::int64_t count : counts) all += count;
  return static_cast<double>(all) / (now_seconds() - started);
}

void print_reads(std::string_view how, int readers, std::int64_t count, double seconds,
                 double used) {
  fmt::print("point reads, {:>3} readers, {:<15}{:>7.0f}{:>34.1f}\n", readers, how,
             static_cast<double>(count) / seconds, used * 1e6 / static_cast<double>(count));
}

class OwnLoop final : public sql::Transaction {
 public:
  explicit OwnLoop(sql::postgres::Connection& connection) : connection_(connection) {}
  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    sql::postgres::Params owned(std::span(params.begin(), params.size()));
    co_return co_await connection_.run(statement.for_postgres(), std::move(owned));
  }

 private:
  sql::postgres::Connection& connection_;
};

Task<void> find(sql::Transaction& tx) {
  RD_CO_CHECK(co_await record::find_session(tx, Id128{}));
  co_return Result<void>{};
}

void measure_reads(record::Record& record, int readers, double seconds) {
  std::int64_t count = 0;
  const double used = used_seconds();
  const double started = now_seconds();
  asio::io_context io(1);
  const auto reader = [&]() -> asio::awaitable<void> {
    while (now_seconds() < started + seconds) {
      std::function<Task<void>(sql::Transaction&)> work = find;
      const auto done = co_await record.read_snapshot(std::move(work));
      if (!done) give_up(done.error().message + " " + done.error().cause);
      ++count;
    }
  };
  for (int i = 0; i < readers; ++i) asio::co_spawn(io, reader(), [](std::exception_ptr) {});
  io.run();
  print_reads("over the record", readers, count, now_seconds() - started, used_seconds() - used);
}

// What they would cost without crossing over: the same statements in the same round trips.
asio::awaitable<void> read_until(asio::any_io_executor executor,
                                 const sql::postgres::Target& target, double deadline,
                                 std::int64_t& count) {
  static constexpr std::string_view kBegin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
  static constexpr std::string_view kSeeTenant = "SELECT set_config('redoubt.tenant', '*', true)";
  static constexpr std::string_view kEnd = "COMMIT";
  const sql::postgres::ConnectionOptions options;
  auto connection = co_await sql::postgres::Connection::open(executor, target, options);
  if (!connection) give_up(connection.error().cause);
  OwnLoop tx(**connection);
  while (now_seconds() < deadline) {
    (*connection)->queue(kBegin);
    (*connection)->queue(kSeeTenant);
    const auto found = co_await find(tx);
    if (!found) give_up(found.error().cause);
    ++count;
    const auto ended = co_await (*connection)->run(kEnd);
    if (!ended) give_up(ended.error().cause);
  }
}

void measure_reads_on_own_loop(const std::string& url, int readers, double seconds) {
  const auto target = sql::postgres::parse_target(Secret(url));
  if (!target) give_up(target.error().message);
  std::int64_t count = 0;
  const double used = used_seconds();
  const double started = now_seconds();
  asio::io_context io(1);
  for (int i = 0; i < readers; ++i) {
    asio::co_spawn(io, read_until(io.get_executor(), *target, started + seconds, count),
                   [](std::exception_ptr) {});
  }
  io.run();
  print_reads("own loop", readers, count, now_seconds() - started, used_seconds() - used);
}

int run(const std::string& url, double seconds, const std::vector<int>& counts) {
  SystemClock clock;
  Metrics metrics;
  record::PostgresRecordOptions options;
  options.url = Secret(url);
  auto record = record::open_postgres_record(options, clock, null_log(), metrics);
  if (!record) give_up(record.error().message + " " + record.error().cause);
  fmt::print("{:<33}{:>9}{:>9}{:>9}{:>8}{:>8}\n", "", "per s", "p50 ms", "p99 ms", "batch",
             "CPU us");
  for (const int writers : counts) {
    const double bare = bare_per_second(url, std::min(writers, 64), seconds);
    fmt::print("bare, {:>3} connections            {:>9.0f}\n", std::min(writers, 64), bare);
    for (const bool within : {false, true}) measure_writes(**record, within, writers, seconds);
  }
  for (const int readers : {1, 7}) {
    measure_reads(**record, readers, seconds);
    measure_reads_on_own_loop(url, readers, seconds);
  }
  (*record)->stop();
  return 0;
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  if (argc < 2) redoubt::give_up("the URL of a database is needed");
  const double seconds = argc > 2 ? std::atof(argv[2]) : 5;
  std::vector<int> counts;
  for (int i = 3; i < argc; ++i) counts.push_back(std::atoi(argv[i]));
  if (counts.empty()) counts = {1, 64};
  return redoubt::run(argv[1], seconds, counts);
}
