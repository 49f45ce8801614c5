// The event streams of the Upstash face: any number of them over one subscription to Redis.
//
//   data: subscribe,chat,1        data: message,chat,hello     data: pmessage,user:*,user:1,hello
//   data: "OK"                    data: 1721284005.242090 [0 127.0.0.1:5] "GET" "k"     (monitor)
//
// Comments are for people and careful programs: ": ping" keeps proxies awake, ": lost" and ": gap"
// say that the connection to Redis was lost, and that it is back and messages may have been missed.
//
// Threads: one per worker, on its executor.
#pragma once

#include "base/metrics.hpp"
#include "faces/upstash/rules.hpp"
#include "net/http_stream.hpp"
#include "redis/client.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

class UpstashStreams final : public redis::SubscriptionHandler {
 public:
  UpstashStreams(boost::asio::any_io_executor executor, redis::Client& client,
                 const UpstashGatekeeper& gatekeeper, Metrics& metrics, std::size_t streams_max);
  ~UpstashStreams() override;

  struct Name {
    std::string shown;    // As the client knows it.
    std::string channel;  // As Redis does.
  };
  struct Wish {
    UpstashGrant grant;
    std::vector<Name> names;
    bool patterns = false;
    bool monitor = false;  // Then there are no names.
  };

  bool full() const { return feeds_.size() >= streams_max_; }
  void follow(Wish wish, std::shared_ptr<net::ResponseStream> stream);

  // To be called every few seconds.
  void ping();

  void subscribed(bool gap) override;
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override;
  void lost(const Error& error) override;

 private:
  // Hears what MONITOR tells.
  class MonitorHandler final : public redis::SubscriptionHandler {
   public:
    explicit MonitorHandler(UpstashStreams& streams) : streams_(streams) {}
    void subscribed(bool gap) override { streams_.confirm_all(true, gap); }
    void message(std::string_view, std::string_view line, std::string_view) override {
      streams_.monitored(line);
    }
    void lost(const Error&) override { streams_.say_to_all(": lost\n\n", true); }

   private:
    UpstashStreams& streams_;
  };

  struct Feed {
    Wish wish;
    std::shared_ptr<net::ResponseStream> stream;
    bool confirmed = false;
  };

  redis::SubscribeRequest request_of(const Wish& wish) const;
  redis::SubscribeRequest not_followed_yet(const Wish& wish) const;
  redis::SubscribeRequest not_followed_any_more() const;
  bool follows(const Wish& wish, std::string_view name, bool pattern) const;
  Result<void> subscribe(const Wish& wish, bool& already);
  Result<void> start_monitor(bool& already);
  void monitored(std::string_view line);
  void confirm(Feed& feed);
  void confirm_all(bool monitors, bool gap);
  void say_to_all(std::string_view comment, bool monitors);
  void forget_unfollowed();
  void forget_closed_later();
  void forget_closed();

  boost::asio::any_io_executor executor_;
  redis::Client& client_;
  const UpstashGatekeeper& gatekeeper_;
  Gauge& open_;
  const std::size_t streams_max_;
  std::list<Feed> feeds_;
  redis::SubscribeRequest followed_;
  std::unique_ptr<redis::Subscription> subscription_;
  MonitorHandler monitor_handler_{*this};
  std::unique_ptr<redis::Subscription> monitor_;
  std::shared_ptr<UpstashStreams*> alive_;  // For what is posted: null when this is gone.
  bool forgetting_ = false;
};

}  // namespace redoubt::faces
