#include "app/upstash_part.hpp"

#include "app/options.hpp"

namespace redoubt::app {
namespace {

constexpr Duration kPingEvery{15'000};

faces::UpstashOptions upstash_options(const config::Config& config) {
  const config::UpstashSettings& settings = config.upstash;
  faces::UpstashOptions options;
  for (const config::UpstashToken& known : settings.tokens) {
    options.tokens.push_back(
        {.token = known.token, .access = static_cast<faces::UpstashAccess>(known.access)});
  }
  options.rules.tenant_prefix = settings.prefix == config::UpstashPrefix::tenant;
  options.rules.tenant_scripts = settings.tenant_scripts;
  options.deadline = settings.command_timeout;
  const std::size_t workers = worker_count(config.http);
  options.streams_max = (settings.streams_max + workers - 1) / workers;
  return options;
}

// While it is down the monitor looks whether it is back; no request waits for that.
std::string_view why_missing(const shared::SharedState& state) {
  if (!state.ever_on()) return "none is configured";
  if (state.off()) return "it is turned off by the configuration";
  return state.away() ? "it is down" : std::string_view();
}

}  // namespace

Result<std::unique_ptr<UpstashPart>> UpstashPart::make(Instance& instance,
                                                       boost::asio::io_context& io, Timers& timers,
                                                       ApiKeys& keys,
                                                       operations::Admission& admission,
                                                       net::HttpHandler& rest) {
  const Duration limit = instance.config.upstash.command_timeout;
  RD_TRY(client, instance.redis->face_client(io, timers, limit));
  return std::unique_ptr<UpstashPart>(
      new UpstashPart(instance, io, std::move(client), keys, admission, rest));
}

UpstashPart::UpstashPart(Instance& instance, boost::asio::io_context& io,
                         std::unique_ptr<redis::Client> client, ApiKeys& keys,
                         operations::Admission& admission, net::HttpHandler& rest)
    : client_(std::move(client)),
      face_({.executor = io.get_executor(),
             .client = &client_,
             .keys = keys,
             .clock = instance.clock,
             .random = instance.random,
             .log = *instance.log,
             .metrics = instance.metrics,
             .missing = [&state = instance.redis->state()] { return why_missing(state); },
             .admission = &admission},
            upstash_options(instance.config)),
      own_(face_, ""),
      below_(face_, instance.config.upstash.path),
      mount_(rest, instance.config.upstash.path, below_),
      main_(instance.config.upstash.path.empty() ? &rest : &mount_) {}

void UpstashPart::start(net::TaskGroup& tasks) {
  tasks.repeat("upstash.ping", kPingEvery, [this]() -> Task<void> {
    face_.ping();
    co_return Result<void>{};
  });
}

void UpstashPart::stop() {
  client_.stop();
}

}  // namespace redoubt::app
