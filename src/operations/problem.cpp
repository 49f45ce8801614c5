#include "operations/problem.hpp"

#include "base/text.hpp"
#include "operations/schema.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::operations {
namespace {

constexpr std::string_view kQuotaExceeded =
    "https://iana.org/assignments/http-problem-types#quota-exceeded";
constexpr std::string_view kQuotaExceededTitle =
    "Request cannot be satisfied as assigned quota has been exceeded";

Problem new_problem(Errc code, std::string_view request_id, std::string_view instance) {
  Problem problem;
  problem.status = traits(code).http_status;
  problem.title = traits(code).title;
  problem.code = traits(code).slug;
  problem.request_id = request_id;
  if (!instance.empty()) problem.instance = instance;
  if (code == Errc::rate_limited) {
    problem.type = kQuotaExceeded;
    problem.title = kQuotaExceededTitle;
  }
  return problem;
}

ProblemField field_of(const FieldError& error) {
  return {error.pointer, error.location, error.detail, error.detail, error.code};
}

std::string per_period(const LimitPolicy& policy) {
  if (policy.algorithm == LimitAlgorithm::calendar_window) {
    constexpr std::array<std::string_view, 4> kUnits{"minute", "hour", "day", "month"};
    return fmt::format("{} per calendar {}", policy.limit,
                       kUnits[static_cast<std::size_t>(policy.unit)]);
  }
  return fmt::format("{} per {}", policy.limit, format_duration(policy.period));
}

}  // namespace

Problem problem_of(const Error& error, std::string_view request_id, std::string_view instance) {
  Problem problem = new_problem(error.code, request_id, instance);
  problem.code = slug_of(error);
  problem.detail = error.message;
  if (!error.fields.empty()) {
    auto& fields = problem.errors.emplace();
    fields.reserve(error.fields.size());
    for (const FieldError& field : error.fields) fields.push_back(field_of(field));
  }
  if (error.retry_after > Duration(0)) problem.retry_after = error.retry_after;
  return problem;
}

Problem problem_of(const LimitDecision& decision, std::string_view request_id,
                   std::string_view instance) {
  Problem problem = new_problem(Errc::rate_limited, request_id, instance);
  auto& violated = problem.violated_policies.emplace();
  Duration wait{0};
  for (const LimitState& state : decision.states) {
    if (state.allowed) continue;
    violated.push_back(state.policy->name);
    wait = std::max(wait, state.retry_after);
    if (!problem.detail.empty()) problem.detail += "; ";
    problem.detail +=
        fmt::format("limit {}: {} exceeded", state.policy->name, per_period(*state.policy));
  }
  const bool some_day = wait > Duration(0) && wait != Duration::max();
  if (some_day) problem.retry_after = wait;
  return problem;
}

void write_problem(std::string& out, const Problem& problem) {
  write_object(out, fields_of<Problem>(), &problem);
}

std::optional<std::int64_t> retry_after_seconds(std::optional<Duration> retry_after) {
  if (!retry_after || *retry_after <= Duration(0) || *retry_after == Duration::max()) return {};
  return std::chrono::ceil<std::chrono::seconds>(*retry_after).count();
}

std::string problem_schema() {
  Schemas schemas{.of_reply = true, .prefix = "#/$defs/"};
  Problem defaults;
  json::object schema = object_schema(fields_of<Problem>(), &defaults, schemas);
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = Problem::schema_name;
  schema["$defs"] = std::move(schemas.components);
  return to_json(schema);
}

}  // namespace redoubt::operations
