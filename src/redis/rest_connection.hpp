// One HTTP connection of a RestLink: opened, then one request at a time, then closed.
#pragma once

#include "redis/rest_link.hpp"
#include "wire/http_reply.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace redoubt::redis {

class RestConnection final : public std::enable_shared_from_this<RestConnection> {
 public:
  explicit RestConnection(RestLink& link);

  void start(std::size_t attempt);
  void close(std::string why);

  // REQUIRES: is_idle().
  void send(RestBatch batch);
  bool is_open() const { return open_ && !closed_; }
  bool is_idle() const { return is_open() && !batch_; }
  std::size_t in_flight() const { return batch_ ? batch_->items.size() : 0; }
  void sweep(BootTime now);

 private:
  boost::asio::awaitable<void> run(std::size_t attempt);
  // False: the connection is of no more use.
  bool take(std::string_view bytes);
  bool finish();

  RestLink* link_;  // Null when it is closed.
  std::shared_ptr<Shared> shared_;
  RestStream stream_;
  std::optional<RestBatch> batch_;
  std::optional<wire::HttpReply> reply_;
  BootTime sent_at_;
  BootTime idle_since_;
  std::string out_;
  std::string input_;
  std::string why_;
  bool writing_ = false;
  bool open_ = false;
  bool closed_ = false;
};

}  // namespace redoubt::redis
