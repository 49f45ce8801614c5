#include "redis/rest_protocol.hpp"

#include "redis/classify.hpp"
#include "redis/shared.hpp"
#include "wire/upstash_client.hpp"

#include <boost/url/parse.hpp>

#include <fmt/format.h>

namespace redoubt::redis {
namespace {

namespace upstash = wire::upstash;
using Outcomes = std::vector<Result<Value>>;

Unexpected wrong(std::string_view what) {
  return fail(Error(Errc::invalid_argument, "redis_options", std::string(what)));
}

Outcomes all(std::size_t count, const Result<Value>& outcome) {
  return Outcomes(count, outcome);
}

Outcomes unknown(std::size_t count, std::string why) {
  return all(count, fail(unknown_outcome(std::move(why))));
}

Outcomes answered(RestShape shape, std::size_t count, std::string_view body) {
  if (shape == RestShape::single) {
    auto reply = upstash::read_reply(body);
    if (!reply) return unknown(count, "an answer that is no reply");
    return all(1, std::move(*reply));
  }
  auto replies = upstash::read_replies(body);
  if (!replies || replies->size() != count) {
    return unknown(count, "an answer with other replies than asked for");
  }
  Outcomes outcomes;
  outcomes.reserve(count);
  for (Value& reply : *replies) outcomes.emplace_back(std::move(reply));
  return outcomes;
}

// The words of an error body; empty when it is none.
std::string words_of(std::string_view body) {
  auto reply = upstash::read_reply(body);
  return reply && reply->is_error() ? reply->take_text() : std::string();
}

Outcomes refused(RestShape shape, std::size_t count, int status, std::string words) {
  if (words.empty()) words = fmt::format("ERR the REST service answered {}", status);
  if (status == 401 || status == 403) {
    const Error error = to_error(words);
    if (is_denied(error)) return all(count, fail(error));
    return all(count, fail(to_error("WRONGPASS " + words)));
  }
  if (status == 429) {
    return all(count, fail(unavailable("redis_refused", "Redis refuses commands now", words)));
  }
  if (status != 400) return all(count, fail(to_error(words)));
  if (shape == RestShape::transaction) {
    return all(count, fail(Error(Errc::conflict, "redis_exec_abort", words, words)));
  }
  return all(count, Value::error(std::move(words)));
}

}  // namespace

Result<RestTarget> read_rest_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return wrong("the REST address of Redis is not a URL");
  const boost::urls::url_view url = *parsed;
  RestTarget target;
  target.tls = url.scheme() == "https";
  if ((!target.tls && url.scheme() != "http") || url.host().empty()) {
    return wrong("the REST address of Redis is neither http:// nor https://");
  }
  if (url.has_userinfo() || url.has_query() || url.has_fragment()) {
    return wrong("the REST address of Redis has more than host, port and path");
  }
  target.endpoint.host = url.host_address();
  target.endpoint.port = url.has_port() ? url.port_number() : (target.tls ? 443 : 80);
  if (target.endpoint.port == 0) return wrong("the REST address of Redis has a bad port");
  target.authority = std::string(url.encoded_host_and_port());
  target.base = std::string(url.encoded_path());
  while (target.base.ends_with('/')) target.base.pop_back();
  return target;
}

std::vector<std::string> arguments_of(const Command& command, bool whole_script) {
  std::string bytes;
  command.append_to(bytes, whole_script);
  wire::resp::Decoder decoder;
  std::size_t used = 0;
  Value value;
  decoder.decode(bytes, used, value);
  std::vector<std::string> arguments;
  for (Value& item : value.take_items()) arguments.push_back(item.take_text());
  return arguments;
}

std::string to_http(const RestTarget& target, std::string_view token, const RestRequest& request) {
  return fmt::format(
      "POST {}{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n"
      "Upstash-Encoding: base64\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
      target.base, request.path.empty() ? "/" : request.path, target.authority, token,
      request.path.empty() || request.shape != RestShape::single ? "application/json"
                                                                 : "application/octet-stream",
      request.body.size(), request.body);
}

std::string to_http_stream(const RestTarget& target, std::string_view token,
                           std::string_view path) {
  return fmt::format(
      "POST {}{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n"
      "Accept: text/event-stream\r\nContent-Length: 0\r\n\r\n",
      target.base, path, target.authority, token);
}

Outcomes rest_outcomes(RestShape shape, std::size_t count, int status, std::string_view body) {
  if (status == 200) return answered(shape, count, body);
  const bool certain =
      (status >= 300 && status < 408) || (status >= 411 && status <= 415) || status == 429;
  if (!certain) return unknown(count, fmt::format("the REST service answered {}", status));
  return refused(shape, count, status, words_of(body));
}

}  // namespace redoubt::redis
