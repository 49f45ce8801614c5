// How commands travel over HTTP as Upstash takes them, and what each answer means for them.
//
//   status                     what happened to the commands
//   200                        each has its reply or error
//   400                        refused, in Redis' words; a transaction was discarded
//   401, 403                   refused: the token (redis_denied)
//   429                        refused: too many requests (redis_refused)
//   3xx, 404, 405, 411 to 415  refused: it is no such service, or the request is too large
//   408, 5xx, anything else    unknown: a proxy may have passed the request on
//   200 that cannot be read    unknown: truncated, not JSON, or another number of replies
//
// A redirect is not followed: the token is for the address that was configured.
//
// Pure functions.
#pragma once

#include "redis/command.hpp"
#include "redis/options.hpp"
#include "wire/resp.hpp"

#include <redoubt/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace redoubt::redis {

using wire::resp::Value;

struct RestTarget {
  Endpoint endpoint;
  bool tls = false;
  std::string authority;  // For Host.
  std::string base;       // Of the paths, without a slash at its end.
};

// http://host[:port][/base] or https://. Errors: invalid_argument "redis_options"; the URL is never
// in the message.
Result<RestTarget> read_rest_url(std::string_view url);

// The arguments, as text. `whole_script`: as EVAL.
std::vector<std::string> arguments_of(const Command& command, bool whole_script);

enum class RestShape : std::uint8_t { single, pipeline, transaction };

struct RestRequest {
  RestShape shape = RestShape::single;
  std::string path;  // After the base; empty for a single command in JSON.
  std::string body;
  std::size_t count = 1;
};

// The bytes of the request.
std::string to_http(const RestTarget& target, std::string_view token, const RestRequest& request);
std::string to_http_stream(const RestTarget& target, std::string_view token, std::string_view path);

// One result for each command; error replies are Values.
std::vector<Result<Value>> rest_outcomes(RestShape shape, std::size_t count, int status,
                                         std::string_view body);

}  // namespace redoubt::redis
