#include "faces/health/health_routes.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "faces_pages.hpp"

#include <array>
#include <utility>
#include <vector>

namespace redoubt::faces {
namespace {

using net::HttpRequest;
using net::HttpResponse;

void no_store(HttpResponse& response) {
  response.headers += "Cache-Control: no-store\r\n";
}

void put_json(HttpResponse& response, const json::object& body, int status = 200) {
  response.status = status;
  response.content_type = "application/json";
  append_json(response.body, body);
  response.body += '\n';
  no_store(response);
}

struct Check {
  std::string_view name;
  bool ok;
};

bool has_flag(std::string_view query, std::string_view name) {
  for (const std::string_view pair : split(query, '&')) {
    if (pair.substr(0, pair.find('=')) == name) return true;
  }
  return false;
}

bool excluded(std::string_view query, std::string_view check) {
  for (const std::string_view pair : split(query, '&')) {
    if (pair.starts_with("exclude=") && pair.substr(8) == check) return true;
  }
  return false;
}

// The shape of Kubernetes' own health endpoints: "ok", or a line per check and a verdict.
void put_checks(const HttpRequest& request, HttpResponse& response, std::string_view verb,
                std::vector<Check> checks) {
  const std::string_view query = request.head.query;
  std::erase_if(checks, [&](const Check& check) { return excluded(query, check.name); });
  bool ok = true;
  std::string lines;
  for (const Check& check : checks) {
    ok = ok && check.ok;
    lines += check.ok ? "[+]" : "[-]";
    lines += check.name;
    lines += check.ok ? " ok\n" : " failed\n";
  }
  response.status = ok ? 200 : 503;
  response.content_type = "text/plain; charset=utf-8";
  if (ok && !has_flag(query, "verbose")) {
    response.body = "ok\n";
  } else {
    response.body = lines;
    response.body += verb;
    response.body += ok ? " check passed\n" : " check failed\n";
  }
  no_store(response);
}

void put_live(const HttpRequest& request, HttpResponse& response) {
  // That this runs is the check: the worker's loop is turning.
  put_checks(request, response, "livez", {{"loop", true}});
}

void put_ready(const Health& health, const HttpRequest& request, HttpResponse& response) {
  const HealthReport report = health.report();
  put_checks(request, response, "readyz",
             {{"started", report.started}, {"not_draining", !report.draining}});
}

// The seeds' readers know "connected" and "disconnected".
std::string_view connection_word(DependencyState state) {
  switch (state) {
    case DependencyState::normal:
    case DependencyState::degraded:
    case DependencyState::recovering:
      return "connected";
    case DependencyState::down:
      return "disconnected";
    case DependencyState::not_configured:
      return "not_configured";
  }
  return "disconnected";
}

json::object dependency_json(const Dependency& dependency) {
  json::object out;
  out["status"] = connection_word(dependency.state);
  out["state"] = state_name(dependency.state);
  if (!dependency.engine.empty()) out["engine"] = dependency.engine;
  if (!dependency.reason.empty()) out["reason"] = dependency.reason;
  out["since"] = format_rfc3339(dependency.since);
  return out;
}

json::array warnings_json(const Dependency& dependency) {
  json::array out;
  for (const std::string& warning : dependency.warnings) out.emplace_back(warning);
  return out;
}

json::object features_json(const HealthReport& report) {
  json::object out;
  for (const FeatureBackend& feature : report.features) {
    out[feature.feature] = json::object{{"active_backend", feature.backend}};
  }
  return out;
}

void put_status(const Health& health, HttpResponse& response) {
  const HealthReport report = health.report();
  json::object body;
  body["agent_type"] = "redoubt";
  body["status"] = "stable";
  body["health"] = report.degraded() ? "degraded" : "ok";
  body["ready"] = report.ready();
  body["version"] = report.version;
  body["uptime_seconds"] = report.uptime.count() / 1000;
  for (const Dependency& dependency : report.dependencies) {
    json::object told = dependency_json(dependency);
    // Here alone: other paths are below /api, where everybody may look.
    if (!dependency.warnings.empty()) told["warnings"] = warnings_json(dependency);
    body[dependency.name] = std::move(told);
  }
  body["features"] = features_json(report);
  put_json(response, body);
}

void put_health(const Health& health, HttpResponse& response) {
  const HealthReport report = health.report();
  json::object dependencies;
  json::object details;
  for (const Dependency& dependency : report.dependencies) {
    // The seeds call the record the database.
    const std::string_view name =
        dependency.name == "record" ? std::string_view("database") : dependency.name;
    dependencies[name] = connection_word(dependency.state);
    details[name] = dependency_json(dependency);
  }
  json::object body;
  body["status"] = report.degraded() ? "degraded" : "healthy";
  body["dependencies"] = std::move(dependencies);
  body["details"] = std::move(details);
  body["features"] = features_json(report);
  body["version"] = report.version;
  put_json(response, body);
}

void put_info(const Health& health, HttpResponse& response) {
  const HealthReport report = health.report();
  put_json(response, {{"name", "redoubt"},
                      {"version", report.version},
                      {"features", features_json(report)},
                      {"documentation", "/docs"},
                      {"openapi", "/openapi.json"}});
}

}  // namespace

void add_health_routes(StaticRoutes& routes, const Health& health) {
  const auto ready = [&health](const HttpRequest& q, HttpResponse& r) { put_ready(health, q, r); };
  const auto general = [&health](const HttpRequest&, HttpResponse& r) { put_health(health, r); };
  for (const char* path : {"/livez", "/health/live", "/api/v2/health/live"}) {
    routes.add(path, put_live);
  }
  for (const char* path : {"/readyz", "/health/ready", "/api/v2/health/ready"}) {
    routes.add(path, ready);
  }
  for (const char* path : {"/health", "/api/v2/health"}) routes.add(path, general);
  routes.add("/startupz", [&health](const HttpRequest& q, HttpResponse& r) {
    put_checks(q, r, "startupz", {{"started", health.report().started}});
  });
  routes.add("/status", [&health](const HttpRequest&, HttpResponse& r) { put_status(health, r); });
  routes.add("/api/v1/info",
             [&health](const HttpRequest&, HttpResponse& r) { put_info(health, r); });
}

void add_metrics_route(StaticRoutes& routes, const Metrics& metrics) {
  routes.add("/metrics", [&metrics](const HttpRequest& request, HttpResponse& response) {
    const std::string_view accept = request.head.field("accept");
    if (accept.find("application/openmetrics-text") != std::string_view::npos) {
      response.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
      response.body = metrics.openmetrics_text();
    } else {
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      response.body = metrics.prometheus_text();
    }
    no_store(response);
  });
}

void add_openapi_routes(StaticRoutes& routes, std::string openapi_json) {
  auto document = std::make_shared<const std::string>(std::move(openapi_json));
  routes.add("/openapi.json", [document](const HttpRequest&, HttpResponse& response) {
    response.content_type = "application/json";
    response.body = *document;
  });
  const auto page = [](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/html; charset=utf-8";
    response.headers +=
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'\r\n";
    response.body = pages::f_docs_html;
  };
  routes.add("/docs", page);
  routes.add("/", page);
  routes.add("/docs.js", [](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/javascript; charset=utf-8";
    response.body = pages::f_docs_js;
  });
}

}  // namespace redoubt::faces
