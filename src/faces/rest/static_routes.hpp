// Routes that are no operations: health, metrics, the OpenAPI document and its page. Exact paths,
// GET (and HEAD) only, public, answered without I/O.
#pragma once

#include "net/http_server.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace redoubt::faces {

using StaticRoute = std::function<void(const net::HttpRequest&, net::HttpResponse&)>;

class StaticRoutes {
 public:
  void add(std::string path, StaticRoute route) { routes_[std::move(path)] = std::move(route); }

  // The route and its path, which lives as long as this; null when there is none.
  const std::pair<const std::string, StaticRoute>* find(std::string_view path) const {
    const auto it = routes_.find(path);
    return it == routes_.end() ? nullptr : &*it;
  }

 private:
  std::map<std::string, StaticRoute, std::less<>> routes_;
};

}  // namespace redoubt::faces
