// Request counts and durations per route template and status; cells are found once per pair.
#pragma once

#include "base/metrics.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::faces {

class RouteMetrics {
 public:
  explicit RouteMetrics(Metrics& metrics) : metrics_(metrics) {}

  // `route` is a template ("/api/v1/sessions/{id}") or one of a closed set of words: static
  // storage.
  void count(std::string_view method, std::string_view route, int status, std::int64_t nanoseconds);

 private:
  struct Route {
    std::vector<std::pair<int, Counter*>> by_status;
    Histogram* duration = nullptr;
  };
  struct Key {
    const char* method;
    const char* route;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return boost::hash<std::pair<const void*, const void*>>{}({key.route, key.method});
    }
  };
  Metrics& metrics_;
  boost::unordered_flat_map<Key, Route, KeyHash> routes_;
};

}  // namespace redoubt::faces
