#include "app/doctor/facts.hpp"
#include "app/run_task.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "sql/postgres/connection.hpp"

#include <algorithm>

namespace redoubt::app::doctor {
namespace {

using diagnostics::PostgresFacts;
using diagnostics::Reach;
using sql::postgres::Connection;

constexpr Duration kConnect{5'000};
// Beside the pool: the writer, and the one that follows the journal.
constexpr std::int64_t kBesidePool = 2;

constexpr std::string_view kAsk =
    "SELECT current_setting('server_version_num')::bigint,"
    " current_setting('fsync')::boolean,"
    " current_setting('synchronous_commit'),"
    " current_setting('full_page_writes')::boolean,"
    " pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,"
    " r.rolsuper, r.rolbypassrls,"
    " coalesce((SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()), false),"
    " current_setting('max_connections')::bigint"
    " - current_setting('superuser_reserved_connections')::bigint,"
    " (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL),"
    " (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    " FROM pg_roles r WHERE r.rolname = current_user";
constexpr std::string_view kIdentity = "SELECT bytes FROM rd_meta WHERE name = 'record.identity'";

std::string words_of(const Error& error) {
  return error.cause.empty() ? error.message : error.message + " (" + error.cause + ")";
}

Reach reach_of(const sql::postgres::Target& target) {
  Reach farthest = Reach::loopback;
  for (const auto& [name, value] : target.parameters) {
    if (name != "host" && name != "hostaddr") continue;
    for (const std::string_view host : split(value.reveal(), ',')) {
      if (host.empty() || host.starts_with('/') || host.starts_with('@')) continue;
      farthest = std::max(farthest, diagnostics::reach_of(host));
    }
  }
  return farthest;
}

void read_answer(const sql::Row& row, WallTime now, PostgresFacts& facts) {
  facts.reached = true;
  facts.version = row.integer(0);
  facts.fsync = row.integer(1) != 0;
  facts.synchronous_commit = row.text(2);
  facts.full_page_writes = row.integer(3) != 0;
  facts.read_only = row.integer(4) != 0;
  facts.superuser = row.integer(5) != 0;
  facts.bypasses_rls = row.integer(6) != 0;
  facts.tls = row.integer(7) != 0;
  facts.connections_max = row.integer(8);
  facts.connections = row.integer(9) - 1;  // This one goes again.
  facts.clock_ahead = WallTime{row.integer(10)} - now;
}

Task<void> ask(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
               const Clock& clock, PostgresFacts& facts, std::string& identity) {
  sql::postgres::ConnectionOptions options;
  options.connect_timeout = kConnect;
  options.reply_timeout = kConnect;
  RD_CO_TRY(connection, co_await Connection::open(executor, target, options));
  RD_CO_TRY(answer, co_await connection->run(kAsk));
  if (!answer.empty()) read_answer(answer[0], clock.wall(), facts);
  // There is no such table before the first start.
  const Result<sql::Rows> known = co_await connection->run(kIdentity);
  if (!known || known->empty()) co_return Result<void>{};
  const Bytes& bytes = (*known)[0].bytes(0);
  Id128 id{};
  if (bytes.size() == id.size()) {
    std::ranges::copy(bytes, id.begin());
    identity = format_id("rec_", id);
  }
  co_return Result<void>{};
}

}  // namespace

PostgresFacts gather_postgres(const config::RecordSettings& record, const Clock& clock,
                              boost::asio::io_context& io, std::string& identity) {
  PostgresFacts facts;
  facts.connections_wanted = static_cast<std::int64_t>(record.database_pool_size) + kBesidePool;
  const auto target = sql::postgres::parse_target(record.database_url);
  if (!target) {
    facts.name = "DATABASE_URL";
    facts.trouble = target.error().message;
    return facts;
  }
  facts.name = target->name;
  facts.reach = reach_of(*target);
  facts.tls_verified = !target->weak_tls;
  const Result<void> asked = run_task(io, ask(io.get_executor(), *target, clock, facts, identity));
  if (!asked) facts.trouble = words_of(asked.error());
  return facts;
}

}  // namespace redoubt::app::doctor
