#include "record/sqlite_reader.hpp"

#include <exception>
#include <span>
#include <utility>

namespace redoubt::record {
namespace {

using sql::sqlite::Connection;

constexpr std::string_view kBegin = "BEGIN";
constexpr std::string_view kCommit = "COMMIT";

class ReadTransaction final : public sql::Transaction {
 public:
  explicit ReadTransaction(Connection& connection) : connection_(connection) {}

  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    co_return connection_.run(statement.text, std::span(params.begin(), params.size()));
  }

 private:
  Connection& connection_;
};

}  // namespace

// Returns the connection however the read ends, without a transaction open on it.
class SqliteReader::Lease {
 public:
  Lease(SqliteReader& owner, std::unique_ptr<Connection> connection)
      : owner_(owner), connection_(std::move(connection)) {}
  ~Lease() {
    const bool clean = !connection_->in_transaction() || connection_->run("ROLLBACK").has_value();
    if (clean) owner_.give_back(std::move(connection_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Connection& operator*() const { return *connection_; }

 private:
  SqliteReader& owner_;
  std::unique_ptr<Connection> connection_;
};

Task<void> SqliteReader::run(std::function<Task<void>(sql::Transaction&)> work) {
  RD_CO_TRY(connection, take());
  const Lease lease(*this, std::move(connection));
  RD_CO_CHECK((*lease).run(kBegin));
  ReadTransaction tx(*lease);
  try {
    RD_CO_CHECK(co_await work(tx));
  } catch (const std::exception& e) {
    co_return fail(internal(e.what()));
  }
  RD_CO_CHECK((*lease).run(kCommit));
  co_return Result<void>{};
}

Result<std::unique_ptr<Connection>> SqliteReader::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  auto connection = Connection::open(options_);
  if (connection && file_.was_replaced_at(options_.path)) {
    return fail(unavailable("record_unavailable",
                            "The record is unavailable: its file was replaced; restart."));
  }
  return connection;
}

void SqliteReader::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
}

void SqliteReader::close() {
  const std::lock_guard lock(mutex_);
  idle_.clear();
}

}  // namespace redoubt::record
