// What all connections of one client have in common.
#pragma once

#include "base/retry_budget.hpp"
#include "redis/classify.hpp"
#include "redis/client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ssl/context.hpp>

#include <array>
#include <memory>

namespace redoubt::redis {

struct ClientMetrics {
  explicit ClientMetrics(Metrics& metrics);
  void count_refusal(Meaning meaning) {
    refused.add();
    refusals[static_cast<std::size_t>(meaning)]->add();
  }

  Counter& answered;
  Counter& refused;                          // By an error reply,
  std::array<Counter*, kMeanings> refusals;  // and by what it means.
  Counter& unknown;
  Counter& unsent;
  Counter& connects;
  Counter& connect_failures;
  Counter& losses;
  Counter& moved;
  Counter& asked;
  Counter& tried_again;
  Histogram& duration;
};

struct ClientCounts {  // Of this client, for ClientStatus.
  std::uint64_t sent = 0;
  std::uint64_t unknown_outcomes = 0;
  std::uint64_t connects = 0;
  std::uint64_t redirects = 0;
};

struct Shared {
  boost::asio::any_io_executor executor;
  Options options;
  ClientParts parts;
  std::shared_ptr<boost::asio::ssl::context> tls;
  ClientMetrics metrics;
  ClientCounts counts;
  // Of sending again by itself.
  std::shared_ptr<RetryBudget> retries = std::make_shared<RetryBudget>();

  BootTime now() const { return parts.clock.boot(); }
};

// The errors that the client itself makes.
Error not_sent(std::string cause);
Error unknown_outcome(std::string cause);
inline bool is_unknown(const Error& error) {
  return error.slug == "redis_unknown_outcome";
}
inline bool is_unsent(const Error& error) {
  return error.slug == "redis_unavailable";
}

}  // namespace redoubt::redis
