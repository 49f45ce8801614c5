// One HTTP/1.1 request and its answer, for the command line: blocking, with a deadline over all of
// it.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <string>
#include <utility>
#include <vector>

namespace redoubt::net {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://, with path and query.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string ca_file;  // For https: trust these instead of the system's.
  Duration timeout{10'000};
};

struct ClientResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// Errors: invalid_argument for a URL that is none; unavailable "connect_failed" naming host and
// port; deadline_exceeded. Certificates and host names are verified.
Result<ClientResponse> fetch(const ClientRequest& request);

}  // namespace redoubt::net
