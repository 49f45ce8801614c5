#include "app/options.hpp"

#include "sql/postgres/target.hpp"

#include <algorithm>
#include <thread>

namespace redoubt::app {

std::size_t worker_count(const config::HttpSettings& http) {
  if (http.worker_threads > 0) return http.worker_threads;
  return std::max(1u, std::thread::hardware_concurrency());
}

net::HttpServerOptions server_options(const config::HttpSettings& http,
                                      const config::ListenAddress& address, std::size_t workers) {
  const auto seconds = [](Duration d) { return std::chrono::ceil<std::chrono::seconds>(d); };
  net::HttpServerOptions options;
  options.address = address.host;
  options.port = address.port;
  options.head.line_max = http.request_line_max;
  options.head.head_max = http.header_bytes_max;
  options.head.fields_max = http.header_fields_max;
  options.body_max = http.body_max;
  const std::size_t listeners = workers * (http.listen.size() + http.tls_listen.size());
  options.connections_max = std::max<std::size_t>(1, http.connections_max / listeners);
  options.idle_timeout = seconds(http.keep_alive);
  options.head_timeout = seconds(http.header_timeout);
  options.body_timeout = seconds(http.body_timeout);
  options.write_timeout = seconds(http.write_timeout);
  return options;
}

Result<faces::RestOptions> rest_options(const config::HttpSettings& http) {
  RD_TRY(proxies, faces::TrustedProxies::parse(http.trusted_proxies));
  faces::RestOptions options;
  options.cors_origins = http.cors_origins;
  options.proxies = std::move(proxies);
  options.access_log = static_cast<faces::AccessLogMode>(http.access_log);
  options.request_deadline = http.request_deadline;
  return options;
}

operations::AdmissionOptions admission_options(const config::HttpSettings& http) {
  operations::AdmissionOptions options;
  options.operations_max = http.operations_max;
  const auto part = static_cast<std::size_t>(http.tenant_operations_percent);
  options.tenant_max = std::max<std::size_t>(1, options.operations_max * part / 100);
  return options;
}

record::SqliteRecordOptions record_options(const config::RecordSettings& record) {
  record::SqliteRecordOptions options;
  options.path = record.path.empty() ? record.data_dir + "/redoubt.db" : record.path;
  return options;
}

record::PostgresRecordOptions postgres_options(const config::RecordSettings& record) {
  record::PostgresRecordOptions options;
  options.url = record.database_url;
  options.connections_max = record.database_pool_size;
  return options;
}

std::vector<std::string> record_warnings(const config::RecordSettings& record) {
  if (record.database_url.empty()) return {};
  const auto target = sql::postgres::parse_target(record.database_url);
  if (!target || !target->weak_tls) return {};
  return {
      "Whoever answers is taken for the database: DATABASE_URL asks for less than "
      "sslmode=verify-full."};
}

CacheOptions cache_options(const config::CacheSettings& cache) {
  CacheOptions options;
  options.bytes_max = cache.bytes_max;
  options.entries_max = cache.entries_max;
  options.tenant_bytes_max = cache.tenant_bytes_max;
  options.value_bytes_max = cache.value_bytes_max;
  options.default_ttl = cache.default_ttl;
  return options;
}

}  // namespace redoubt::app
