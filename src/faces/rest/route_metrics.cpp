#include "faces/rest/route_metrics.hpp"

#include <string>

namespace redoubt::faces {

void RouteMetrics::count(std::string_view method, std::string_view route, int status,
                         std::int64_t nanoseconds) {
  Route& cells = routes_[Key{method.data(), route.data()}];
  if (cells.duration == nullptr) {
    cells.duration = &metrics_.histogram("redoubt_http_request_duration_seconds",
                                         "Time from a request's last byte read to its answer.",
                                         {{"method", method}, {"route", route}});
  }
  cells.duration->observe_ns(nanoseconds);
  for (auto& [known, counter] : cells.by_status) {
    if (known == status) return counter->add();
  }
  Counter& counter =
      metrics_.counter("redoubt_http_requests_total", "Requests answered.",
                       {{"method", method}, {"route", route}, {"status", std::to_string(status)}});
  cells.by_status.emplace_back(status, &counter);
  counter.add();
}

}  // namespace redoubt::faces
