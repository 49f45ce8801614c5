// Who is reading a session right now, so that others who want the same one wait for that instead of
// reading it again.
//
// Threads: one worker's.
#pragma once

#include "base/ids.hpp"

#include <redoubt/timers.hpp>

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <vector>

namespace redoubt::sessions {

class Flights {
 public:
  explicit Flights(Timers& timers) : timers_(timers) {}

  bool under_way(const Id128& id) const { return flights_.contains(id); }

  // Until the flight has landed, or `limit` has passed.
  boost::asio::awaitable<void> wait(Id128 id, Duration limit) {
    const std::shared_ptr<Alarm> alarm = timers_.alarm();
    flights_[id].push_back(alarm);
    co_await alarm->wait(limit);
  }

  // Under way until it goes, however that happens. REQUIRES: not under_way(id), and `flights`
  // outlives it.
  class Flight {
   public:
    Flight(Flights& flights, const Id128& id) : flights_(flights), id_(id) {
      flights_.flights_[id];
    }
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;
    ~Flight() { flights_.land(id_); }

   private:
    Flights& flights_;
    const Id128 id_;
  };

 private:
  void land(const Id128& id) {
    const auto waiting = flights_.extract(id);
    for (const std::shared_ptr<Alarm>& alarm : waiting.mapped()) alarm->ring();
  }

  Timers& timers_;
  std::map<Id128, std::vector<std::shared_ptr<Alarm>>> flights_;
};

}  // namespace redoubt::sessions
