// A place for one connection, which is opened when it is needed and again after it was lost: at
// once the first time, then after pauses that double up to two seconds, so that a database that
// comes back is not met by a storm.
//
// Threads: those of its executor, one at a time.
#pragma once

#include "sql/postgres/connection.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace redoubt::record {

class PostgresLink {
 public:
  PostgresLink(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
               sql::postgres::ConnectionOptions options);

  // The connection, open. While it rests after a failure, that failure, at once.
  Task<sql::postgres::Connection*> get();

  // Ends a rest after a failure: there is reason to think that the next attempt succeeds.
  void wake() { rest_.reset(); }

  // Forgets a connection in an unknown state.
  void drop() { connection_.reset(); }

  // How many connections it has opened: moves when get() gives another one than before.
  std::uint64_t opened() const { return opened_; }

  // Why the last get() failed, in a word; empty when it did not.
  std::string_view reason() const { return reason_; }

 private:
  void rest();

  boost::asio::any_io_executor executor_;
  const sql::postgres::Target& target_;
  const sql::postgres::ConnectionOptions options_;
  std::unique_ptr<sql::postgres::Connection> connection_;
  std::shared_ptr<boost::asio::steady_timer> rest_;  // Set while it rests.
  Duration pause_{0};
  std::uint64_t opened_ = 0;
  std::optional<Error> last_error_;
  std::string_view reason_;
};

}  // namespace redoubt::record
