#include "faces/rest/request_facts.hpp"

#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>

namespace redoubt::faces {
namespace {

namespace ip = boost::asio::ip;

bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  for (const char c : text) {
    const bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    c == '.' || c == '_' || c == '-';
    if (!ok) return false;
  }
  return true;
}

bool is_lower_hex(std::string_view text) {
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

}  // namespace

RequestFacts read_facts(const wire::RequestHead& head) {
  RequestFacts facts;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const wire::Field& field = head.fields[i];
    const auto is = [&field](std::string_view lower) {
      return wire::ascii_iequals(field.name, lower);
    };
    // The length tells nearly all fields apart; one comparison settles the rest.
    switch (field.name.size()) {
      case 6:
        if (is("cookie")) facts.cookie = field.value;
        if (is("accept")) facts.accept = field.value;
        if (is("origin")) facts.origin = field.value;
        break;
      case 9:
        if (is("x-api-key")) {
          facts.repeated_credential |= !facts.api_key.empty();
          facts.api_key = field.value;
        }
        break;
      case 10:
        if (is("user-agent")) facts.user_agent = field.value;
        break;
      case 11:
        if (is("traceparent") && is_traceparent(field.value)) facts.traceparent = field.value;
        break;
      case 12:
        if (is("content-type")) facts.content_type = field.value;
        if (is("x-request-id") && is_request_id(field.value)) facts.request_id = field.value;
        break;
      case 13:
        if (is("authorization")) {
          facts.repeated_credential |= !facts.authorization.empty();
          facts.authorization = field.value;
        }
        break;
      case 15:
        if (is("idempotency-key")) {
          facts.doubtful_key |= field.value.empty() || !facts.idempotency_key.empty();
          facts.idempotency_key = field.value;
        }
        break;
      case 18:
        if (is("redoubt-timeout-ms")) facts.timeout_ms = field.value;
        break;
      case 29:
        if (is("access-control-request-method")) facts.cors_method = field.value;
        break;
      default:
        break;
    }
  }
  return facts;
}

std::string_view credential_of(const RequestFacts& facts) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view given = facts.authorization;
  if (given.size() > kBearer.size() &&
      wire::ascii_iequals(given.substr(0, kBearer.size()), kBearer)) {
    return trim(given.substr(kBearer.size()));
  }
  return given.empty() ? facts.api_key : std::string_view();
}

std::optional<Duration> asked_timeout(std::string_view text) {
  constexpr std::int64_t kMax = 3'600'000;
  if (text.empty()) return Duration(0);
  const auto asked = parse_int(text);
  if (!asked || *asked < 1 || *asked > kMax) return std::nullopt;
  return Duration(*asked);
}

std::string_view cookie_value(std::string_view cookie, std::string_view name) {
  while (!cookie.empty()) {
    const std::size_t semicolon = cookie.find(';');
    const std::string_view pair = trim(cookie.substr(0, semicolon));
    cookie =
        semicolon == std::string_view::npos ? std::string_view() : cookie.substr(semicolon + 1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
  }
  return {};
}

bool is_traceparent(std::string_view text) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  if (!is_lower_hex(version) || version == "ff") return false;
  if (version == "00" ? text.size() != 55 : text.size() > 55 && text[55] != '-') return false;
  return is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(text.substr(53, 2)) &&
         trace.find_first_not_of('0') != std::string_view::npos &&
         parent.find_first_not_of('0') != std::string_view::npos;
}

Result<TrustedProxies> TrustedProxies::parse(const std::vector<std::string>& cidrs) {
  TrustedProxies proxies;
  for (const std::string& cidr : cidrs) {
    boost::system::error_code ec;
    if (const auto v4 = ip::make_network_v4(cidr, ec); !ec) {
      proxies.v4_.push_back(v4);
      continue;
    }
    if (const auto v6 = ip::make_network_v6(cidr, ec); !ec) {
      proxies.v6_.push_back(v6);
      continue;
    }
    return fail(invalid_argument("trusted_proxies", "not a CIDR: " + cidr));
  }
  return proxies;
}

bool TrustedProxies::trusts(std::string_view text) const {
  boost::system::error_code ec;
  const auto address = ip::make_address(text, ec);
  if (ec) return false;
  const auto in = [](const auto& network, const auto& single) {
    return network == single || single.is_subnet_of(network);
  };
  if (address.is_v4()) {
    const ip::network_v4 single(address.to_v4(), 32);
    return std::ranges::any_of(v4_, [&](const auto& n) { return in(n, single); });
  }
  const ip::network_v6 single(address.to_v6(), 128);
  return std::ranges::any_of(v6_, [&](const auto& n) { return in(n, single); });
}

bool TrustedProxies::walk(std::string_view field, std::string_view& client) const {
  while (!field.empty()) {
    const std::size_t comma = field.rfind(',');
    const std::string_view hop =
        trim(comma == std::string_view::npos ? field : field.substr(comma + 1));
    field = comma == std::string_view::npos ? std::string_view() : field.substr(0, comma);
    boost::system::error_code ec;
    ip::make_address(hop, ec);
    if (ec) return false;  // A hop nobody vouches for: the last good one stands.
    client = hop;
    if (!trusts(hop)) return false;
  }
  return true;
}

std::string_view TrustedProxies::client_address(std::string_view peer,
                                                const wire::RequestHead& head) const {
  if ((v4_.empty() && v6_.empty()) || !trusts(peer)) return peer;
  std::string_view client = peer;
  for (std::size_t i = head.field_count; i-- > 0;) {
    const wire::Field& field = head.fields[i];
    if (wire::ascii_iequals(field.name, "x-forwarded-for") && !walk(field.value, client)) break;
  }
  return client;
}

}  // namespace redoubt::faces
