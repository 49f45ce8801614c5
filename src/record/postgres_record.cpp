#include "record/postgres_record.hpp"

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "record/postgres_follower.hpp"
#include "record/postgres_reader.hpp"
#include "record/postgres_writer.hpp"
#include "record/signal.hpp"
#include "sql/postgres/errors.hpp"
#include "sql/postgres/migrate.hpp"

#include "redoubt_postgres_migrations.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <array>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;
using sql::postgres::Connection;
using sql::postgres::Target;

constexpr Duration kMigrationMax{600'000};
constexpr Duration kBarrierPause{25};
// Nobody trusts a copy for longer than kCopiesTrustedFor without a look at the journal.
constexpr Duration kBarrierMax{2'100};

constexpr std::string_view kBypassesRls =
    "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";

std::string new_instance_id() {
  std::array<std::uint8_t, 12> bytes{};
  SystemRandom().fill(bytes);
  return to_hex(bytes);
}

Error out_of_reach() {
  return sql::postgres::unreachable(sql::postgres::kUnreachable, "this instance is cut off").error;
}

class PostgresRecord final : public Record {
 public:
  PostgresRecord(Target target, const PostgresRecordOptions& options, Clock& clock, Log& log,
                 Metrics& metrics)
      : options_(options),
        target_(std::move(target)),
        clock_(clock),
        log_(log),
        origin_(new_instance_id()),
        guard_(asio::make_work_guard(io_)),
        availability_(clock, log, metrics),
        writer_(io_.get_executor(), target_, options_, origin_, clock, log, availability_, metrics,
                connections_, [this] { follower_.hear_own(); }),
        reader_(io_.get_executor(), target_, options_, clock, metrics, connections_),
        follower_(io_.get_executor(), target_, options_, origin_, clock, log, availability_,
                  metrics, connections_, [this](const JournalEntry& entry) { writer_.tell(entry); }),
        thread_([this] { io_.run(); }) {}

  ~PostgresRecord() override { stop(); }

  Result<void> open();

  // While the record is known to be out of reach nobody waits for it, here and below: the follower
  // looks for it.
  Task<void> write_unit(std::function<Task<void>(Unit&)> work) override {
    return write_within({}, std::move(work));
  }
  Task<void> write_within(Reach reach, std::function<Task<void>(Unit&)> work) override {
    if (away()) co_return fail(out_of_reach());
    auto done = co_await writer_.submit(std::move(reach), std::move(work));
    if (done && cut_off()) follower_.wake();
    co_return done;
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return read_within({}, std::move(work));
  }
  Task<void> read_tenant(std::string tenant,
                         std::function<Task<void>(sql::Transaction&)> work) override {
    Reach reach;
    reach.tenant = std::move(tenant);
    return read_within(std::move(reach), std::move(work));
  }
  Task<void> read_within(Reach reach, std::function<Task<void>(sql::Transaction&)> work) override {
    if (away()) co_return fail(out_of_reach());
    auto done = co_await reader_.run(std::move(reach), std::move(work));
    if (done && cut_off()) follower_.wake();
    co_return done;
  }
  bool cut_off() const override { return follower_.cut_off(); }
  // For longer than a moment.
  bool away() const { return cut_off() && clock_.boot() >= fresh_until(); }
  double queue_fill() const override { return writer_.queue_fill(); }
  void subscribe(JournalListener listener) override { writer_.subscribe(std::move(listener)); }
  bool when_announced(std::function<void()> listener) override {
    writer_.when_announced(std::move(listener));
    return true;
  }
  void hurry() override { follower_.hurry(); }
  BootTime fresh_until() const override { return follower_.fresh_until(); }
  Task<void> wait_for_all() override;

  Status status() const override {
    Status status = availability_.status();
    status.commits = writer_.commits();
    status.writes = writer_.writes();
    const PostgresFollower::Facts facts = follower_.facts();
    status.engine = "postgresql";
    status.schema = schema_;
    status.server = facts.incarnation.server;
    status.timeline = facts.incarnation.timeline;
    status.instances = facts.instances;
    return status;
  }

  void stop() override;

 private:
  Task<void> prepare();
  Task<void> warn_of_weaknesses(Connection& connection);

  // One caller of wait_for_all().
  struct Waiting {
    explicit Waiting(asio::io_context& io) : patience(io, kBarrierMax) {}
    asio::steady_timer patience;  // Cancelled when all have heard.
    std::optional<std::int64_t> seq;
    bool looked_for = false;  // The look that is under way began after this.
    bool over = false;
  };
  Task<void> barrier();
  asio::awaitable<void> watch_instances();
  void release(std::int64_t newest);

  const PostgresRecordOptions options_;
  const Target target_;
  Clock& clock_;
  Log& log_;
  const std::string origin_;
  sql::postgres::ConnectionSet connections_;  // Of the writer and the reader.
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  Availability availability_;
  PostgresWriter writer_;
  PostgresReader reader_;
  PostgresFollower follower_;
  std::int64_t schema_ = 0;
  std::vector<std::shared_ptr<Waiting>> waiting_;  // On the record's thread.
  std::thread thread_;                             // Last: it uses everything above.
};

Result<void> PostgresRecord::open() {
  std::promise<Result<void>> promise;
  auto prepared = promise.get_future();
  asio::co_spawn(io_, prepare(), [&promise](std::exception_ptr thrown, Result<void> done) {
    promise.set_value(thrown ? fail(internal("an exception while opening the record"))
                             : std::move(done));
  });
  RD_CHECK(prepared.get());
  writer_.start();
  asio::co_spawn(io_, follower_.follow(), surely);
  asio::co_spawn(io_, follower_.watch(), surely);
  log_.info("record.opened", {{"engine", "postgresql"},
                              {"database", target_.name},
                              {"schema", schema_},
                              {"instance", origin_}});
  return {};
}

Task<void> PostgresRecord::prepare() {
  sql::postgres::ConnectionOptions options;
  options.connect_timeout = options_.connect_timeout;
  options.reply_timeout = kMigrationMax;  // Others may be at it, for long.
  options.settings = {{"redoubt.tenant", "*"}};
  auto connection = co_await Connection::open(io_.get_executor(), target_, options);
  if (!connection) {
    Error error = std::move(connection).error();
    error.message = fmt::format("Cannot use the database {}: {}", target_.name, error.cause);
    co_return fail(std::move(error));
  }
  std::vector<sql::Migration> known;
  for (const auto& file : postgres_migrations::all) known.push_back({file.name, file.text});
  RD_CO_TRY(schema, co_await sql::postgres::migrate(**connection, known, clock_.wall()));
  schema_ = schema;
  RD_CO_CHECK(co_await warn_of_weaknesses(**connection));
  co_return co_await follower_.join();
}

Task<void> PostgresRecord::warn_of_weaknesses(Connection& connection) {
  if (target_.weak_tls) {
    log_.warn("record.tls_not_verified",
              {{"database", target_.name},
               {"message", "the connection string asks for less than sslmode=verify-full"}});
  }
  RD_CO_TRY(rows, co_await connection.run(kBypassesRls));
  if (!rows.empty() && rows[0].integer(0) != 0) {
    log_.warn("record.row_security_bypassed",
              {{"message",
                "the database role is a superuser or has BYPASSRLS: tenants are kept apart by the "
                "statements alone"}});
  }
  co_return Result<void>{};
}

Task<void> PostgresRecord::wait_for_all() {
  auto waiting = barrier();
  auto awaiting = asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable);
  co_return co_await asio::co_spawn(io_, std::move(waiting), std::move(awaiting));
}

// Ends by the clock whatever the database does: by then an instance that could not be asked about
// trusts none of its old copies.
Task<void> PostgresRecord::barrier() {
  const auto waiting = std::make_shared<Waiting>(io_);
  waiting_.push_back(waiting);
  if (waiting_.size() == 1) asio::co_spawn(io_, watch_instances(), surely);
  co_await waiting->patience.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting->over = true;
  co_return Result<void>{};
}

// While anybody waits: one look for all of them, however many they are.
asio::awaitable<void> PostgresRecord::watch_instances() {
  std::function<Task<std::int64_t>(sql::Transaction&)> look = [this](sql::Transaction& tx) {
    return follower_.look_around(tx);
  };
  asio::steady_timer timer(io_);
  while (!waiting_.empty()) {
    for (const auto& waiting : waiting_) waiting->looked_for = true;
    const auto newest = co_await read<std::int64_t>(look);
    if (newest) release(*newest);
    std::erase_if(waiting_, [](const auto& waiting) { return waiting->over; });
    if (waiting_.empty()) break;
    timer.expires_after(kBarrierPause);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void PostgresRecord::release(std::int64_t newest) {
  for (const auto& waiting : waiting_) {
    if (!waiting->looked_for) continue;
    // What was committed before the wait began is not newer than what this look has seen.
    if (!waiting->seq) waiting->seq = newest;
    if (!follower_.all_heard(*waiting->seq)) continue;
    waiting->over = true;
    waiting->patience.cancel();
  }
}

void PostgresRecord::stop() {
  if (!thread_.joinable()) return;
  writer_.stop();
  asio::post(io_, [this] {
    follower_.stop();
    reader_.close();
    guard_.reset();
  });
  thread_.join();
}

}  // namespace

Result<std::unique_ptr<Record>> open_postgres_record(const PostgresRecordOptions& options,
                                                     Clock& clock, Log& log, Metrics& metrics) {
  RD_TRY(target, sql::postgres::parse_target(options.url));
  auto record = std::make_unique<PostgresRecord>(std::move(target), options, clock, log, metrics);
  RD_CHECK(record->open());
  return record;
}

}  // namespace redoubt::record
