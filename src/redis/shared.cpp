#include "redis/shared.hpp"

namespace redoubt::redis {
namespace {

constexpr std::string_view kCommands = "redoubt_redis_commands_total";
constexpr std::string_view kCommandsHelp = "Commands to Redis, by what became of them.";
constexpr std::string_view kConnects = "redoubt_redis_connects_total";
constexpr std::string_view kConnectsHelp = "Attempts to connect to Redis.";
constexpr std::string_view kRedirects = "redoubt_redis_redirects_total";
constexpr std::string_view kRedirectsHelp = "Commands a Redis cluster sent elsewhere.";

std::array<Counter*, kMeanings> refusal_counters(Metrics& metrics) {
  std::array<Counter*, kMeanings> counters{};
  for (std::size_t i = 0; i < kMeanings; ++i) {
    counters[i] = &metrics.counter("redoubt_redis_error_replies_total",
                                   "Error replies of Redis, by what they mean.",
                                   {{"meaning", name_of(static_cast<Meaning>(i))}});
  }
  return counters;
}

}  // namespace

ClientMetrics::ClientMetrics(Metrics& metrics)
    : answered(metrics.counter(kCommands, kCommandsHelp, {{"result", "answered"}})),
      refused(metrics.counter(kCommands, kCommandsHelp, {{"result", "refused"}})),
      refusals(refusal_counters(metrics)),
      unknown(metrics.counter(kCommands, kCommandsHelp, {{"result", "unknown"}})),
      unsent(metrics.counter(kCommands, kCommandsHelp, {{"result", "unsent"}})),
      connects(metrics.counter(kConnects, kConnectsHelp, {{"result", "connected"}})),
      connect_failures(metrics.counter(kConnects, kConnectsHelp, {{"result", "failed"}})),
      losses(metrics.counter("redoubt_redis_connections_lost_total",
                             "Connections to Redis that were lost.")),
      moved(metrics.counter(kRedirects, kRedirectsHelp, {{"kind", "moved"}})),
      asked(metrics.counter(kRedirects, kRedirectsHelp, {{"kind", "ask"}})),
      tried_again(metrics.counter(kRedirects, kRedirectsHelp, {{"kind", "tryagain"}})),
      duration(metrics.histogram("redoubt_redis_command_duration_seconds",
                                 "From a command's submission to its reply.")) {}

Error not_sent(std::string cause) {
  return unavailable("redis_unavailable", "Redis cannot be reached", std::move(cause));
}

Error unknown_outcome(std::string cause) {
  return Error(Errc::deadline_exceeded, "redis_unknown_outcome",
               "Redis did not answer; the command may have been executed", std::move(cause));
}

}  // namespace redoubt::redis
