#include "config/setting.hpp"

#include <chrono>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

std::string show_addresses(const std::vector<ListenAddress>& addresses) {
  std::vector<std::string> texts;
  for (const auto& address : addresses) texts.push_back(format(address));
  return joined(texts);
}

Setting listen_setting(SettingName name, std::vector<ListenAddress> HttpSettings::* field) {
  auto row = setting(std::move(name), "address:port, ... or none", at(&Config::http, field),
                     listen_addresses, show_addresses);
  row.list = true;
  return row;
}

std::vector<Setting> address_settings() {
  std::vector<Setting> rows;
  rows.push_back(listen_setting({"http.listen",
                                 {"REDOUBT_LISTEN"},
                                 "Where the API is served in clear text. A bare port listens on "
                                 "127.0.0.1; *:3284 on every IPv4 address."},
                                &HttpSettings::listen));
  rows.push_back(
      listen_setting({"http.tls_listen",
                      {"REDOUBT_TLS_LISTEN"},
                      "Where the API is served over TLS. Needs the certificate and key."},
                     &HttpSettings::tls_listen));
  rows.push_back(
      path_setting({"http.tls_certificate",
                    {"REDOUBT_TLS_CERTIFICATE"},
                    "PEM file with the certificate and its chain. Read again on SIGHUP."},
                   at(&Config::http, &HttpSettings::tls_certificate)));
  rows.push_back(
      path_setting({"http.tls_key",
                    {"REDOUBT_TLS_KEY"},
                    "PEM file with the certificate's private key. Read again on SIGHUP."},
                   at(&Config::http, &HttpSettings::tls_key)));
  return rows;
}

std::vector<Setting> size_settings() {
  const auto http = [](auto field) { return at(&Config::http, field); };
  return {
      setting(
          {"http.worker_threads", {"REDOUBT_WORKER_THREADS"}, "Threads that serve requests."},
          "1 to 1024, or auto: one per core", http(&HttpSettings::worker_threads),
          [](std::string_view text) -> Parsed<std::int64_t> {
            if (text == "auto") return 0;
            return integer_in(text, 1, 1024);
          },
          [](std::size_t value) { return value == 0 ? "auto" : std::to_string(value); }),
      integer_setting({"http.connections_max",
                       {"REDOUBT_CONNECTIONS_MAX"},
                       "Open connections of the whole server; more are closed at once."},
                      1, 10'000'000, http(&HttpSettings::connections_max)),
      size_setting({"http.request_line_max",
                    {"REDOUBT_REQUEST_LINE_MAX"},
                    "The longest request line, and the longest header line."},
                   1u << 10, 64u << 10, http(&HttpSettings::request_line_max)),
      size_setting({"http.header_bytes_max",
                    {"REDOUBT_HEADER_BYTES_MAX"},
                    "The longest request head, without the request line."},
                   1u << 10, 1u << 20, http(&HttpSettings::header_bytes_max)),
      integer_setting(
          {"http.header_fields_max", {"REDOUBT_HEADER_FIELDS_MAX"}, "The most header fields."}, 10,
          100, http(&HttpSettings::header_fields_max)),
      size_setting({"http.body_max", {"REDOUBT_BODY_MAX"}, "The longest request body."}, 1u << 10,
                   64u << 20, http(&HttpSettings::body_max)),
      integer_setting({"http.operations_max",
                       {"REDOUBT_OPERATIONS_MAX"},
                       "Operations of one worker that wait for the record or Redis. On the way "
                       "there, what matters least is refused first."},
                      8, 1'000'000, http(&HttpSettings::operations_max)),
      integer_setting({"http.tenant_operations_percent",
                       {"REDOUBT_TENANT_OPERATIONS_PERCENT"},
                       "How much of that one tenant may have, in percent."},
                      1, 100, http(&HttpSettings::tenant_operations_percent)),
  };
}

std::vector<Setting> time_settings() {
  const auto http = [](auto field) { return at(&Config::http, field); };
  return {
      duration_setting({"http.keep_alive",
                        {"REDOUBT_KEEP_ALIVE"},
                        "How long an idle connection is kept. Longer than the idle timeout of the "
                        "load balancer in front, or requests are lost in the gap."},
                       1s, 1h, http(&HttpSettings::keep_alive)),
      duration_setting({"http.header_timeout",
                        {"REDOUBT_HEADER_TIMEOUT"},
                        "From the first byte of a request to the end of its head."},
                       1s, 5min, http(&HttpSettings::header_timeout)),
      duration_setting({"http.body_timeout",
                        {"REDOUBT_BODY_TIMEOUT"},
                        "From the end of the head to the end of the body."},
                       1s, 1h, http(&HttpSettings::body_timeout)),
      duration_setting({"http.write_timeout",
                        {"REDOUBT_WRITE_TIMEOUT"},
                        "How long a client may take no byte of its answer."},
                       1s, 5min, http(&HttpSettings::write_timeout)),
      duration_setting({"http.request_deadline",
                        {"REDOUBT_REQUEST_DEADLINE"},
                        "Work of a request that has not started after this long is dropped; less "
                        "if the request says so in Redoubt-Timeout-Ms."},
                       100ms, 5min, http(&HttpSettings::request_deadline)),
      duration_setting({"http.idempotency_ttl",
                        {"REDOUBT_IDEMPOTENCY_TTL"},
                        "How long the answer to a request with an Idempotency-Key is kept, for "
                        "repetitions of it."},
                       1min, 7 * 24h, http(&HttpSettings::idempotency_ttl)),
      duration_setting(
          {"http.shutdown_delay",
           {"REDOUBT_SHUTDOWN_DELAY"},
           "On SIGTERM, how long to go on serving while /readyz already answers 503, so "
           "that a load balancer can look away first."},
          0s, 5min, http(&HttpSettings::shutdown_delay)),
      duration_setting({"http.drain_deadline",
                        {"REDOUBT_DRAIN_DEADLINE"},
                        "After that, how long requests under way may take to finish."},
                       0s, 1h, http(&HttpSettings::drain_deadline)),
  };
}

std::vector<Setting> edge_settings() {
  auto proxies = setting({"http.trusted_proxies",
                          {"REDOUBT_TRUSTED_PROXIES"},
                          "Networks whose X-Forwarded-For is believed."},
                         "CIDR, ... or none", at(&Config::http, &HttpSettings::trusted_proxies),
                         networks, joined<std::vector<std::string>>);
  proxies.list = true;
  auto cors =
      setting({"http.cors_origins",
               {"REDOUBT_CORS_ORIGINS"},
               "Web origins whose pages may call the API. * is every origin, without credentials."},
              "origin, ..., * or none", at(&Config::http, &HttpSettings::cors_origins), origins,
              joined<std::vector<std::string>>);
  cors.list = true;
  const EnumNames<AccessLog> access{
      {"none", AccessLog::none}, {"errors", AccessLog::errors}, {"all", AccessLog::all}};
  return {std::move(proxies), std::move(cors),
          enum_setting({"http.access_log",
                        {"REDOUBT_ACCESS_LOG"},
                        "Which requests are logged; errors are answers of 500 and above."},
                       access, at(&Config::http, &HttpSettings::access_log))};
}

}  // namespace

std::vector<Setting> http_settings() {
  std::vector<Setting> rows;
  for (auto part : {address_settings(), size_settings(), time_settings(), edge_settings()}) {
    rows.insert(rows.end(), std::make_move_iterator(part.begin()),
                std::make_move_iterator(part.end()));
  }
  return rows;
}

}  // namespace redoubt::config
