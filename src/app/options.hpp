// From the configuration's tree to the options each part takes. Nothing here decides.
#pragma once

#include "config/config.hpp"
#include "faces/rest/rest_handler.hpp"
#include "net/http_server.hpp"
#include "operations/admission.hpp"
#include "record/postgres_record.hpp"
#include "record/sqlite_record.hpp"

#include <redoubt/cache.hpp>

#include <string>
#include <vector>

namespace redoubt::app {

net::HttpServerOptions server_options(const config::HttpSettings& http,
                                      const config::ListenAddress& address, std::size_t workers);
// Errors: invalid_argument for a trusted proxy that is not a CIDR.
Result<faces::RestOptions> rest_options(const config::HttpSettings& http);
operations::AdmissionOptions admission_options(const config::HttpSettings& http);
record::SqliteRecordOptions record_options(const config::RecordSettings& record);
record::PostgresRecordOptions postgres_options(const config::RecordSettings& record);
// What is not safe about it.
std::vector<std::string> record_warnings(const config::RecordSettings& record);
CacheOptions cache_options(const config::CacheSettings& cache);
std::size_t worker_count(const config::HttpSettings& http);

}  // namespace redoubt::app
