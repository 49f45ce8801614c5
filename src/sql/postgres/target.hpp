// Where the database is and how it is spoken to: a connection string with our defaults filled in.
//
// A host that is neither a socket nor this machine is spoken to over TLS with the certificate and
// the host name verified (sslmode=verify-full), unless the connection string asks for less; then
// `weak_tls` says so, for the log.
#pragma once

#include <redoubt/result.hpp>
#include <redoubt/secret.hpp>

#include <string>
#include <utility>
#include <vector>

namespace redoubt::sql::postgres {

struct Target {
  std::vector<std::pair<std::string, Secret>> parameters;  // libpq's keywords.
  std::string name;                                        // "db.example.com:5432/redoubt".
  bool weak_tls = false;
};

// `url`: "postgresql://user:password@host:5432/database?sslmode=...", or libpq's "key=value ...".
// Errors: invalid_argument that quotes nothing of it.
Result<Target> parse_target(const Secret& url);

}  // namespace redoubt::sql::postgres
