#include "record/postgres_link.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::record {
namespace {

constexpr Duration kPauseMin{50};
constexpr Duration kPauseMax{2'000};

}  // namespace

using sql::postgres::Connection;

PostgresLink::PostgresLink(boost::asio::any_io_executor executor,
                           const sql::postgres::Target& target,
                           sql::postgres::ConnectionOptions options)
    : executor_(std::move(executor)), target_(target), options_(std::move(options)) {}

Task<Connection*> PostgresLink::get() {
  if (connection_ && connection_->alive()) co_return connection_.get();
  connection_.reset();
  if (rest_ && last_error_) co_return fail(*last_error_);
  auto opened = co_await Connection::open(executor_, target_, options_);
  if (!opened) {
    reason_ = sql::postgres::kUnreachable;
    last_error_ = opened.error();
    rest();
    co_return fail(std::move(opened).error());
  }
  connection_ = std::move(*opened);
  ++opened_;
  pause_ = Duration(0);
  last_error_.reset();
  reason_ = {};
  co_return connection_.get();
}

void PostgresLink::rest() {
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
  rest_ = std::make_shared<boost::asio::steady_timer>(executor_, pause_);
  // The timer may outlive this place; then nobody looks.
  rest_->async_wait([this, timer = std::weak_ptr(rest_)](const boost::system::error_code& error) {
    if (!error && !timer.expired()) rest_.reset();
  });
}

}  // namespace redoubt::record
