// Problems: RFC 9457 bodies, made from errors and from refusals by a limit. What clients match on
// is `code`; `errors` says where a request is wrong, with the keys of both usual conventions
// (pointer and detail; location and message).
//
// Problem types of refusals: draft-ietf-httpapi-ratelimit-headers.
#pragma once

#include "operations/describe.hpp"

#include <redoubt/limits.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::operations {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

struct ProblemField {
  std::string pointer;
  std::string location;
  std::string detail;
  std::string message;
  std::string code;
  static constexpr std::string_view schema_name = "ProblemField";
  static constexpr auto fields = describe(
      field<&ProblemField::pointer>(
          "pointer", "RFC 6901 pointer into the body; empty when it is not in the body.",
          example("/ttl")),
      field<&ProblemField::location>("location", "Where it is in the request.",
                                     example("body.ttl")),
      field<&ProblemField::detail>("detail", "What is wrong with it.",
                                   example("must be between 1s and 1h")),
      field<&ProblemField::message>("message", "The same as detail."),
      field<&ProblemField::code>("code", "required, type, range, length, format, enum or unknown.",
                                 example("range")));
};

struct Problem {
  std::string type = "about:blank";
  std::string title;
  std::int64_t status = 500;
  std::string detail;
  std::string code;
  std::optional<std::string> instance;
  std::string request_id;
  std::optional<std::vector<ProblemField>> errors;
  std::optional<Duration> retry_after;
  std::optional<std::vector<std::string>> violated_policies;
  static constexpr std::string_view schema_name = "Problem";
  static constexpr auto fields = describe(
      field<&Problem::type>("type", "A URI that names the kind of problem, or about:blank."),
      field<&Problem::title>("title", "The kind of problem in words."),
      field<&Problem::status>("status", "The HTTP status.", between(400, 599)),
      field<&Problem::detail>("detail", "What went wrong this time, for a person."),
      field<&Problem::code>("code", "What a client matches on; it does not change.",
                            example("session_not_found")),
      field<&Problem::instance>("instance", "The path that was asked for."),
      field<&Problem::request_id>("request_id", "The X-Request-ID of this answer."),
      field<&Problem::errors>("errors", "Every part of the request that is wrong."),
      field<&Problem::retry_after>("retry_after", "Seconds until it is worth trying again."),
      field<&Problem::violated_policies>("violated-policies", "The limits that refused."));
};

// Of an error. Its cause stays inside. The HTTP status is `status` of the result.
Problem problem_of(const Error& error, std::string_view request_id, std::string_view instance = {});

// Of a refusal by limits. REQUIRES: !decision.allowed.
Problem problem_of(const LimitDecision& decision, std::string_view request_id,
                   std::string_view instance = {});

void write_problem(std::string& out, const Problem& problem);

// Retry-After: whole seconds, rounded up, at least 1. Empty: nothing is known, or never.
std::optional<std::int64_t> retry_after_seconds(std::optional<Duration> retry_after);

// JSON Schema 2020-12 of a Problem, alone in its document.
std::string problem_schema();

}  // namespace redoubt::operations
