#include "record/postgres_reader.hpp"

#include "record/write_metrics.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::postgres::Connection;
using sql::postgres::ConnectionOptions;
using sql::postgres::Params;

namespace {

// At a time, of one instance: when Redis has lost every copy at once, no more than these meet the
// database together.
constexpr std::size_t kReadsMax = 32;
constexpr std::size_t kWaitingMax = 4'096;  // Reads that wait for a connection.

constexpr std::string_view kRefusedReads = "redoubt_record_reads_refused_total";
constexpr std::string_view kRefusedReadsHelp = "Reads that were not begun, by reason.";

constexpr std::string_view kBegin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
constexpr std::string_view kEnd = "COMMIT";
constexpr std::string_view kSeeTenant = "SELECT set_config('redoubt.tenant', $1, true)";

// What runs on the record's thread is not to be cancelled from its caller's.
auto awaiting() {
  return asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable);
}

ConnectionOptions reader_options(const PostgresRecordOptions& options,
                                 sql::postgres::ConnectionSet& connections) {
  ConnectionOptions out;
  out.set = &connections;
  out.connect_timeout = options.connect_timeout;
  out.reply_timeout = options.reply_timeout;
  out.settings = {{"statement_timeout", "5000"}, {"idle_in_transaction_session_timeout", "10000"}};
  if (options.limits_by_own_clock) out.settings.emplace_back("redoubt.clock", "own");
  return out;
}

Error no_connection_free() {
  Error error = unavailable("record_overloaded", "Too many reads are waiting; try again shortly.");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

Error answered_too_late() {
  return {Errc::deadline_exceeded, "deadline_exceeded",
          "The deadline of the request passed before the database answered."};
}

std::size_t links_max(const PostgresRecordOptions& options) {
  const std::size_t lanes = std::max<std::size_t>(2, options.connections_max / 3);
  const std::size_t others = lanes + 1;  // And the follower.
  const std::size_t left = options.connections_max > others ? options.connections_max - others : 1;
  return std::min(left, kReadsMax);
}

}  // namespace

// Returns the connection however the read ends.
class PostgresReader::Lease {
 public:
  Lease(PostgresReader& owner, std::shared_ptr<Held> held)
      : owner_(owner), held_(std::move(held)) {}
  ~Lease() { asio::co_spawn(owner_.executor_, owner_.give_back(held_), surely); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  PostgresReader& owner_;
  std::shared_ptr<Held> held_;
};

class PostgresReader::ReadTransaction final : public sql::Transaction {
 public:
  ReadTransaction(PostgresReader& owner, std::string tenant, BootTime deadline)
      : owner_(owner), tenant_(std::move(tenant)), deadline_(deadline) {}

  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    if (failed_) co_return fail(*failed_);
    Params owned(std::span(params.begin(), params.size()));
    auto rows = lease_ ? co_await next(statement.for_postgres(), std::move(owned))
                       : co_await first(statement.for_postgres(), std::move(owned));
    if (!rows) failed_ = rows.error();
    co_return rows;
  }

 private:
  Task<sql::Rows> first(std::string_view text, Params params) {
    auto crossing = owner_.take_and_run(tenant_, deadline_, text, std::move(params));
    RD_CO_TRY(taken, co_await asio::co_spawn(owner_.executor_, std::move(crossing), awaiting()));
    connection_ = taken.held->connection;
    lease_.emplace(owner_, std::move(taken.held));
    co_return std::move(taken.rows);
  }
  Task<sql::Rows> next(std::string_view text, Params params) {
    auto crossing = owner_.run_on(connection_, deadline_, text, std::move(params));
    co_return co_await asio::co_spawn(owner_.executor_, std::move(crossing), awaiting());
  }

  PostgresReader& owner_;
  std::string tenant_;
  const BootTime deadline_;
  Connection* connection_ = nullptr;
  std::optional<Lease> lease_;
  std::optional<Error> failed_;
};

PostgresReader::PostgresReader(asio::any_io_executor executor, const sql::postgres::Target& target,
                               const PostgresRecordOptions& options, const Clock& clock,
                               Metrics& metrics, sql::postgres::ConnectionSet& connections)
    : executor_(std::move(executor)),
      target_(target),
      options_(options),
      clock_(clock),
      connections_(connections),
      retried_(metrics.counter("redoubt_record_read_retries_total",
                               "Reads that were tried again because their connection was lost.")),
      late_(metrics.counter(kRefusedReads, kRefusedReadsHelp, {{"reason", "late"}})),
      overloaded_(metrics.counter(kRefusedReads, kRefusedReadsHelp, {{"reason", "overloaded"}})),
      links_max_(links_max(options)) {}

Task<void> PostgresReader::run(Reach reach, std::function<Task<void>(sql::Transaction&)> work) {
  if (clock_.boot() >= reach.deadline) {
    late_.add();
    co_return fail(too_late());
  }
  retries_.attempted();
  Result<void> done = co_await run_once(reach, work);
  if (done || done.error().slug != "record_unavailable") co_return done;
  if (clock_.boot() >= reach.deadline) co_return fail(answered_too_late());
  if (!retries_.take()) co_return done;
  retried_.add();
  // A server that was restarted has broken every connection, and each says so when it is used next.
  // What only reads is asked again, once, on a new one.
  auto dropping = drop_idle();
  co_await asio::co_spawn(executor_, std::move(dropping), awaiting());
  done = co_await run_once(reach, work);
  const bool lost = !done && done.error().slug == "record_unavailable";
  if (lost && clock_.boot() >= reach.deadline) co_return fail(answered_too_late());
  co_return done;
}

asio::awaitable<void> PostgresReader::drop_idle() {
  for (const LinkPtr& link : idle_) link->drop();
  co_return;
}

Task<void> PostgresReader::run_once(const Reach& reach,
                                    const std::function<Task<void>(sql::Transaction&)>& work) {
  ReadTransaction tx(*this, reach.tenant.empty() ? "*" : reach.tenant, reach.deadline);
  try {
    co_return co_await work(tx);
  } catch (const std::exception& e) {
    co_return fail(internal(e.what()));
  }
}

Task<PostgresReader::First> PostgresReader::take_and_run(std::string tenant, BootTime deadline,
                                                         std::string_view text, Params params) {
  RD_CO_TRY(held, co_await take(std::move(tenant), deadline));
  auto rows = co_await run_on(held->connection, deadline, text, std::move(params));
  if (!rows) {
    co_await give_back(std::move(held));
    co_return fail(std::move(rows).error());
  }
  First first{std::move(held), std::move(*rows)};
  co_return first;
}

// Gives a connection up rather than wait for it past the deadline.
Task<sql::Rows> PostgresReader::run_on(Connection* connection, BootTime deadline,
                                       std::string_view text, Params params) {
  const auto left = std::chrono::ceil<Duration>(deadline - clock_.boot());
  connection->limit_replies(std::max(left, Duration(0)));
  co_return co_await connection->run(text, std::move(params));
}

Task<std::shared_ptr<PostgresReader::Held>> PostgresReader::take(std::string tenant,
                                                                 BootTime deadline) {
  RD_CO_TRY(link, co_await take_link(deadline));
  auto connection = co_await link->get();
  auto held = std::make_shared<Held>();
  held->link = std::move(link);
  if (!connection) {
    co_await give_back(std::move(held));
    co_return fail(std::move(connection).error());
  }
  held->connection = *connection;
  const sql::Param param[] = {std::string_view(tenant)};
  held->connection->queue(kBegin);
  held->connection->queue(kSeeTenant, Params(param));
  co_return held;
}

Task<PostgresReader::LinkPtr> PostgresReader::take_link(BootTime deadline) {
  const BootTime now = clock_.boot();
  const Duration left = std::chrono::duration_cast<Duration>(
      std::min<std::chrono::nanoseconds>(options_.pool_wait, deadline - now));
  const auto until = asio::steady_timer(executor_, left).expiry();
  for (;;) {
    if (clock_.boot() >= deadline) {
      late_.add();
      co_return fail(too_late());
    }
    if (closed_) co_return fail(unavailable("record_unavailable", "The record is closed."));
    if (!idle_.empty()) {
      LinkPtr link = std::move(idle_.back());
      idle_.pop_back();
      co_return link;
    }
    if (links_ < links_max_) {
      ++links_;
      co_return std::make_unique<PostgresLink>(executor_, target_,
                                               reader_options(options_, connections_));
    }
    if (waiting_.size() >= kWaitingMax) {
      overloaded_.add();
      co_return fail(no_connection_free());
    }
    asio::steady_timer patience(executor_, until);
    waiting_.push_back(&patience);
    const auto [interrupted] = co_await patience.async_wait(asio::as_tuple(asio::use_awaitable));
    std::erase(waiting_, &patience);
    if (!interrupted && clock_.boot() < deadline) {
      overloaded_.add();
      co_return fail(no_connection_free());
    }
  }
}

asio::awaitable<void> PostgresReader::give_back(std::shared_ptr<Held> held) {
  if (held->connection != nullptr) {
    held->connection->limit_replies(options_.reply_timeout);
    const auto ended = co_await held->connection->run(kEnd);
    if (!ended || held->connection->in_transaction()) held->link->drop();
  }
  if (closed_) co_return;
  idle_.push_back(std::move(held->link));
  if (!waiting_.empty()) waiting_.front()->cancel();
}

void PostgresReader::close() {
  closed_ = true;
  idle_.clear();
  for (asio::steady_timer* waiting : waiting_) waiting->cancel();
}

}  // namespace redoubt::record
