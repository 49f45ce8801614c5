// What a record knows of its Redis, without a record.
#pragma once

#include "shared/incarnation.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace redoubt::test {

class MemoryLedger final : public shared::Ledger {
 public:
  explicit MemoryLedger(std::string identity) : identity_(std::move(identity)) {}

  Task<std::string> identity() override { co_return identity_; }
  Task<shared::Page> read() override {
    boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
    while (hung_) {
      pause.expires_after(std::chrono::milliseconds(5));
      co_await pause.async_wait(boost::asio::use_awaitable);
    }
    if (away_) co_return fail(unavailable("record_unavailable", "gone"));
    co_return page_;
  }
  Task<bool> replace(std::int64_t revision, shared::Incarnation next) override {
    if (away_) co_return fail(unavailable("record_unavailable", "gone"));
    if (revision != page_.revision) co_return false;
    page_.revision = revision + 1;
    page_.incarnation = std::move(next);
    co_return true;
  }

  const shared::Incarnation& now() const { return page_.incarnation; }
  void set_away(bool away) { away_ = away; }
  // No read is answered meanwhile.
  void set_hung(bool hung) { hung_ = hung; }

 private:
  std::string identity_;
  shared::Page page_;
  bool away_ = false;
  bool hung_ = false;
};

}  // namespace redoubt::test
