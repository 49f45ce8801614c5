// Reads on PostgreSQL: a pool of connections on the record's thread, one per running read. The work
// itself runs on its caller's thread and crosses over for each statement, for the first one and the
// connection together.
//
// Threads: run(): any. The rest: the record's.
#pragma once

#include "base/metrics.hpp"
#include "base/retry_budget.hpp"
#include "record/postgres_link.hpp"
#include "record/postgres_record.hpp"
#include "record/record.hpp"
#include "record/signal.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::record {

class PostgresReader {
 public:
  PostgresReader(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
                 const PostgresRecordOptions& options, const Clock& clock, Metrics& metrics,
                 sql::postgres::ConnectionSet& connections);

  // Runs the work a second time when the connection was lost, within the budget for that.
  // Errors: those of the work and the record; unavailable "record_overloaded" when no connection
  // became free in time, or too many wait for one; deadline_exceeded when none did before the
  // deadline, or no answer came before it.
  Task<void> run(Reach reach, std::function<Task<void>(sql::Transaction&)> work);

  void close();  // No read may follow.

 private:
  class Lease;
  class ReadTransaction;
  using LinkPtr = std::unique_ptr<PostgresLink>;
  struct Held {
    LinkPtr link;
    sql::postgres::Connection* connection = nullptr;
  };

  struct First {
    std::shared_ptr<Held> held;
    sql::Rows rows;
  };

  Task<void> run_once(const Reach& reach, const std::function<Task<void>(sql::Transaction&)>& work);
  // On failure the connection has been given back.
  Task<First> take_and_run(std::string tenant, BootTime deadline, std::string_view text,
                           sql::postgres::Params params);
  boost::asio::awaitable<void> drop_idle();
  Task<std::shared_ptr<Held>> take(std::string tenant, BootTime deadline);
  Task<LinkPtr> take_link(BootTime deadline);
  Task<sql::Rows> run_on(sql::postgres::Connection* connection, BootTime deadline,
                         std::string_view text, sql::postgres::Params params);
  boost::asio::awaitable<void> give_back(std::shared_ptr<Held> held);

  boost::asio::any_io_executor executor_;
  const sql::postgres::Target& target_;
  const PostgresRecordOptions& options_;
  const Clock& clock_;
  sql::postgres::ConnectionSet& connections_;
  RetryBudget retries_;
  Counter& retried_;
  Counter& late_;
  Counter& overloaded_;
  const std::size_t links_max_;
  std::size_t links_ = 0;                            // In use and idle.
  std::vector<LinkPtr> idle_;                        // The last one returned is the next one given.
  std::vector<boost::asio::steady_timer*> waiting_;  // Reads that wait for a link, oldest first.
  bool closed_ = false;
};

}  // namespace redoubt::record
