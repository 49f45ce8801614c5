#include "record/postgres_outcome.hpp"

#include "record/postgres_batch.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::postgres::Commit;
using sql::postgres::Connection;
using sql::postgres::ConnectionOptions;
using sql::postgres::Params;

namespace {

constexpr Duration kPatience{6'000};  // After it, no other attempt.
constexpr Duration kPause{100};

constexpr std::string_view kNote =
    "INSERT INTO rd_lane (id, batch) VALUES ($1, $2)"
    " ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = clock_timestamp()";
constexpr std::string_view kLock = "SELECT pg_advisory_xact_lock($1)";
constexpr std::string_view kCommitted = "SELECT batch FROM rd_lane WHERE id = $1";

ConnectionOptions asking_options(const PostgresRecordOptions& options,
                                 sql::postgres::ConnectionSet& connections) {
  ConnectionOptions out;
  out.set = &connections;
  out.connect_timeout = std::min(options.connect_timeout, Duration(2'000));
  out.reply_timeout = std::min(options.reply_timeout, Duration(4'000));
  // Longer than a transaction may be idle: its lock is free by then.
  out.settings = {{"lock_timeout", "3000"}, {"statement_timeout", "3500"}};
  return out;
}

}  // namespace

PostgresLane::PostgresLane(std::string_view origin, std::size_t number)
    : id(fmt::format("{}/{}", origin, number)), lock(PostgresBatch::lock_of("lane/" + id)) {}

void queue_batch_number(Connection& connection, const PostgresLane& lane) {
  const sql::Param params[] = {std::string_view(lane.id), lane.batch};
  connection.queue(kNote, Params(params));
}

PostgresOutcome::PostgresOutcome(asio::any_io_executor executor,
                                 const sql::postgres::Target& target,
                                 const PostgresRecordOptions& options, Log& log,
                                 sql::postgres::ConnectionSet& connections)
    : executor_(executor),
      link_(std::move(executor), target, asking_options(options, connections)),
      log_(log) {}

asio::awaitable<Commit> PostgresOutcome::find_out(const PostgresLane& lane,
                                                  std::function<bool()> wanted) {
  const auto over = std::make_shared<bool>(false);
  asio::steady_timer patience(executor_, kPatience);
  patience.async_wait([over](const boost::system::error_code&) { *over = true; });
  asio::steady_timer pause(executor_);
  do {
    const auto committed = co_await ask(lane);
    link_.drop();  // Commits are lost too rarely to keep a connection for it.
    if (committed) {
      log_.info("record.outcome_found", {{"committed", *committed}});
      co_return *committed ? Commit::committed : Commit::failed;
    }
    pause.expires_after(kPause);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  } while (!*over && wanted());
  log_.error("record.outcome_unknown");
  co_return Commit::unknown;
}

Task<bool> PostgresOutcome::ask(const PostgresLane& lane) {
  RD_CO_TRY(connection, co_await link_.get());
  const sql::Param lock[] = {lane.lock};
  const sql::Param id[] = {std::string_view(lane.id)};
  connection->queue(kLock, Params(lock));
  RD_CO_TRY(rows, co_await connection->run(kCommitted, Params(id)));
  co_return !rows.empty() && rows[0].integer(0) == lane.batch;
}

}  // namespace redoubt::record
