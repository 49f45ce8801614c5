// What a worker has of the Upstash face: a client of its own, because strangers' commands take
// longer than ours and want the replies of RESP2, the face, and the ways to it.
//
// Threads: made before the worker's thread runs; then the worker's.
#pragma once

#include "app/instance.hpp"
#include "faces/mount.hpp"
#include "faces/upstash/face.hpp"
#include "net/http_server.hpp"
#include "net/task_group.hpp"

#include <redoubt/tenants.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/io_context.hpp>

#include <memory>
#include <utility>

namespace redoubt::app {

class UpstashPart {
 public:
  // `rest` serves what is not below the path; it outlives this, and so do the others.
  // Errors: those of redis::make_client.
  static Result<std::unique_ptr<UpstashPart>> make(Instance& instance, boost::asio::io_context& io,
                                                   Timers& timers, ApiKeys& keys,
                                                   operations::Admission& admission,
                                                   net::HttpHandler& rest);

  net::HttpHandler& main_port() { return *main_; }  // The API and the path.
  net::HttpHandler& own_port() { return own_; }

  // On the worker's loop.
  void replace_redis(std::unique_ptr<redis::Client> next) { client_.replace(std::move(next)); }

  void start(net::TaskGroup& tasks);
  void stop();

 private:
  UpstashPart(Instance& instance, boost::asio::io_context& io,
              std::unique_ptr<redis::Client> client, ApiKeys& keys,
              operations::Admission& admission, net::HttpHandler& rest);

  redis::ReplaceableClient client_;
  faces::UpstashFace face_;
  faces::UpstashHandler own_;
  faces::UpstashHandler below_;
  faces::Mount mount_;
  net::HttpHandler* main_;
};

}  // namespace redoubt::app
