// A worker: one thread, one event loop, its listeners, and its own copy of every service, so that
// the hot path shares nothing but counters and the engines made for sharing.
#pragma once

#include "app/instance.hpp"
#include "app/upstash_part.hpp"
#include "faces/rest/authenticator.hpp"
#include "faces/rest/forward_auth.hpp"
#include "faces/rest/rest_handler.hpp"
#include "faces/rest/static_routes.hpp"
#include "net/http_server.hpp"
#include "net/task_group.hpp"
#include "net/tls.hpp"
#include "operations/admission.hpp"
#include "operations/operation.hpp"
#include "redis/replaceable_client.hpp"
#include "services/sessions/copies.hpp"
#include "shared/claims.hpp"
#include "shared/copies.hpp"
#include "shared/limits.hpp"

#include <redoubt/audit.hpp>
#include <redoubt/cache.hpp>
#include <redoubt/diagnostics.hpp>
#include <redoubt/gate.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/sessions.hpp>
#include <redoubt/tenants.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace redoubt::app {

// Every service once, and the operations over them. Also what the command line reads the
// declarations from.
struct Services {
  std::unique_ptr<Timers> timers;
  std::unique_ptr<redis::TrackingHandler> tracking;
  std::unique_ptr<redis::ReplaceableClient> redis;
  std::unique_ptr<shared::SharedLimits> shared_limits;
  std::unique_ptr<shared::Copies> copies;
  std::unique_ptr<shared::Claims> claims;
  std::unique_ptr<sessions::SessionCopies> session_copies;
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<ApiKeys> api_keys;
  std::unique_ptr<Limits> limits;
  std::unique_ptr<Cache> cache;
  std::unique_ptr<Audit> audit;
  std::unique_ptr<Diagnostics> diagnostics;
  std::unique_ptr<Gate> gate;
  operations::Registry registry;
};
// Errors: invalid_argument naming a limit policy that is wrong.
Result<std::unique_ptr<Services>> make_services(Instance& instance, boost::asio::io_context& io);

class Worker {
 public:
  // `ports`: the ports of the first worker's listeners, empty for the first worker itself.
  // Errors: those of make_services and of listening.
  static Result<std::unique_ptr<Worker>> make(Instance& instance, std::size_t index,
                                              const std::vector<std::uint16_t>& ports,
                                              std::shared_ptr<net::TlsContext> tls);
  ~Worker();

  std::vector<std::uint16_t> ports() const;

  void start();          // Its thread.
  void drain();          // Any thread: no new connections; idle ones go.
  bool drained() const;  // Any thread: none is left.
  // Any thread: these are the limits from now on. REQUIRES: they are valid.
  void replace_limits(const config::LimitSettings& limits);
  // Any thread: the tier has another Redis.
  void replace_redis();
  // Any thread: records what memory holds, closes what is left, ends the loop. Then join().
  void stop();
  bool ended() const { return ended_; }  // Any thread: join() would not wait.
  void join();

 private:
  Worker(Instance& instance, std::size_t index);
  Result<void> build(const std::vector<std::uint16_t>& ports, std::shared_ptr<net::TlsContext> tls);
  // `listener` is "http", "https" or "upstash".
  Result<void> listen(net::HttpServerOptions options, std::uint16_t port, std::string_view listener,
                      std::shared_ptr<net::TlsContext> tls = nullptr);
  Task<void> hand_over();
  Task<void> flush();
  Task<void> feel_pulse();
  boost::asio::awaitable<void> finish();

  Instance& instance_;
  const std::size_t index_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<faces::Authenticator> authenticator_;
  std::unique_ptr<faces::ForwardAuth> forward_auth_;
  faces::StaticRoutes routes_;
  std::unique_ptr<operations::Admission> admission_;
  std::unique_ptr<faces::RestHandler> handler_;
  std::unique_ptr<UpstashPart> upstash_;
  std::vector<std::unique_ptr<net::HttpServer>> servers_;
  std::unique_ptr<net::TaskGroup> tasks_;
  BootTime pulse_;
  Duration late_before_{0};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace redoubt::app
