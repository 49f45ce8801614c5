// Two handlers behind one listener: what is below a path goes to one, the rest to the other.
#pragma once

#include "net/http_server.hpp"

#include <string>
#include <string_view>

namespace redoubt::faces {

class Mount final : public net::HttpHandler {
 public:
  // `path` without a slash at its end: "/redis" is below it, and "/redis/get/a", not "/rediscover".
  Mount(net::HttpHandler& root, std::string path, net::HttpHandler& below)
      : root_(root), path_(std::move(path)), below_(below) {}

  bool handle_now(const net::HttpRequest& request, net::HttpResponse& response) override {
    return choose(request.head).handle_now(request, response);
  }
  boost::asio::awaitable<void> handle(const net::HttpRequest& request,
                                      net::HttpResponse& response) override {
    return choose(request.head).handle(request, response);
  }
  // Of a request whose head could not be read nobody knows where it belongs.
  void refuse(int status, std::string_view reason, net::HttpResponse& response) override {
    root_.refuse(status, reason, response);
  }
  net::HttpHandler& answering(const wire::RequestHead& head) override { return choose(head); }

 private:
  net::HttpHandler& choose(const wire::RequestHead& head) {
    const std::string_view path = head.path;
    const bool below =
        path.starts_with(path_) && (path.size() == path_.size() || path[path_.size()] == '/');
    return below ? below_ : root_;
  }

  net::HttpHandler& root_;
  const std::string path_;
  net::HttpHandler& below_;
};

}  // namespace redoubt::faces
