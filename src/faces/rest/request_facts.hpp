// What the REST face wants to know of a request's fields, found in one pass; and the caller's
// address as seen through proxies that are trusted to say it.
#pragma once

#include "net/http_server.hpp"

#include <redoubt/result.hpp>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

struct RequestFacts {  // Views into the request; empty when absent.
  std::string_view authorization;
  std::string_view api_key;  // X-API-Key
  std::string_view cookie;
  std::string_view content_type;
  std::string_view user_agent;
  std::string_view accept;
  std::string_view origin;
  std::string_view cors_method;  // Access-Control-Request-Method
  std::string_view request_id;   // X-Request-ID, when it is well-formed
  std::string_view traceparent;  // When it is well-formed
  std::string_view timeout_ms;   // Redoubt-Timeout-Ms
  std::string_view idempotency_key;
  bool repeated_credential = false;
  bool doubtful_key = false;  // Several idempotency keys, or an empty one.
};

RequestFacts read_facts(const wire::RequestHead& head);

// The bearer credential: `Authorization: Bearer x`, else X-API-Key; empty when there is none.
std::string_view credential_of(const RequestFacts& facts);

// What Redoubt-Timeout-Ms asks for. 0: nothing. Empty: it is no time.
std::optional<Duration> asked_timeout(std::string_view text);
inline constexpr std::string_view kTimeoutRange =
    "must be a whole number of milliseconds from 1 to 3600000";

// One cookie of a Cookie field (RFC 6265 4.2.1), "" when absent.
std::string_view cookie_value(std::string_view cookie, std::string_view name);

// W3C Trace Context level 1: version-traceid-parentid-flags, no all-zero ids.
bool is_traceparent(std::string_view text);

class TrustedProxies {
 public:
  // Errors: invalid_argument naming the entry that is not a CIDR.
  static Result<TrustedProxies> parse(const std::vector<std::string>& cidrs);

  // The peer, unless it is a trusted proxy: then the last address of the X-Forwarded-For fields,
  // taken together, that is not one.
  std::string_view client_address(std::string_view peer, const wire::RequestHead& head) const;

 private:
  // Walks one field from its end. True: everybody in it is trusted; go on with the field before it.
  bool walk(std::string_view field, std::string_view& client) const;
  bool trusts(std::string_view address) const;

  std::vector<boost::asio::ip::network_v4> v4_;
  std::vector<boost::asio::ip::network_v6> v6_;
};

}  // namespace redoubt::faces
