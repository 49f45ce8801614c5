// What became of a commit whose answer was lost with its connection.
//
//   batch      BEGIN; lock of the lane; work; number of the batch into the lane's row; COMMIT
//   find_out   on a new connection: lock of the lane, which comes free when the transaction has
//              ended either way; then the lane's row, which has the batch's number or does not
//
// The row is written by the transaction in question and the lock is held by it from its beginning.
// So the answer is that of the database that is asked, also after a crash or a failover, and it
// cannot change afterwards. A transaction whose COMMIT never arrived is ended by the server's limit
// on idle transactions. (pg_xact_status() would cost no row, but answers about another transaction
// when a number that a crash has lost is drawn again.)
//
// Threads: the executor's.
#pragma once

#include "base/log.hpp"
#include "record/postgres_link.hpp"
#include "record/postgres_record.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace redoubt::record {

// A connection that writes, as it is known in the database.
struct PostgresLane {
  PostgresLane(std::string_view origin, std::size_t number);

  std::string id;
  std::int64_t lock = 0;   // Of the advisory kind.
  std::int64_t batch = 0;  // The last one begun.
};

class PostgresOutcome {
 public:
  PostgresOutcome(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
                  const PostgresRecordOptions& options, Log& log,
                  sql::postgres::ConnectionSet& connections);

  // Whether `lane.batch` was committed; `unknown` when the database could not be asked in time: ten
  // seconds at most, and while `wanted`, which is asked between attempts.
  boost::asio::awaitable<sql::postgres::Commit> find_out(const PostgresLane& lane,
                                                         std::function<bool()> wanted);

 private:
  Task<bool> ask(const PostgresLane& lane);

  boost::asio::any_io_executor executor_;
  PostgresLink link_;
  Log& log_;
};

// Notes the lane's batch; part of the batch's transaction.
void queue_batch_number(sql::postgres::Connection& connection, const PostgresLane& lane);

}  // namespace redoubt::record
