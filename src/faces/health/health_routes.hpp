// Health over HTTP: the Kubernetes trio, the service's own status, and the paths that earlier
// systems of our users ask for. Orchestrators read only the status code; people read the body.
//
//   /livez /readyz /startupz          200 or 503; ?verbose prints a line per check;
//   ?exclude=<check> /status                           200 always: agentapi's shape plus every
//   dependency /health, /api/v2/health           200 always: healthy or degraded, per dependency
//   /health/ready, /api/v2/health/ready   as /readyz      /health/live, ...  as /livez
//   /api/v1/info                      version and features
//   /metrics                          Prometheus text 0.0.4, or OpenMetrics 1.0 when asked for
#pragma once

#include "base/metrics.hpp"
#include "faces/rest/static_routes.hpp"

#include <redoubt/health.hpp>

namespace redoubt::faces {

void add_health_routes(StaticRoutes& routes, const Health& health);
void add_metrics_route(StaticRoutes& routes, const Metrics& metrics);

// The document and the page that shows it; neither needs a network.
void add_openapi_routes(StaticRoutes& routes, std::string openapi_json);

}  // namespace redoubt::faces
