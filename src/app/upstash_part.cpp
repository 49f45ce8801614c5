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
std::string_view why_missing(const Instance& instance) {
  if (!instance.redis) return "none is configured";
  const shared::SharedState& state = instance.redis->state();
  if (state.off()) return "it is turned off by the configuration";
  return state.away() ? "it is down" : std::string_view();
}

}  // namespace

Result<std::unique_ptr<UpstashPart>> UpstashPart::make(Instance& instance,
                                                       boost::asio::io_context& io, Timers& timers,
                                                       ApiKeys& keys,
                                                       operations::Admission& admission,
                                                       net::HttpHandler& rest) {
  std::unique_ptr<redis::ReplaceableClient> client;
  if (instance.redis) {
    const Duration limit = instance.config.upstash.command_timeout;
    RD_TRY(made, instance.redis->face_client(io, timers, limit));
    client = std::make_unique<redis::ReplaceableClient>(std::move(made));
  }
  const faces::UpstashParts parts{.executor = io.get_executor(),
                                  .client = client.get(),
                                  .keys = keys,
                                  .clock = instance.clock,
                                  .random = instance.random,
                                  .log = *instance.log,
                                  .metrics = instance.metrics,
                                  .missing = [&instance] { return why_missing(instance); },
                                  .admission = &admission};
  return std::unique_ptr<UpstashPart>(new UpstashPart(std::move(client), parts,
                                                      upstash_options(instance.config),
                                                      instance.config.upstash.path, rest));
}

UpstashPart::UpstashPart(std::unique_ptr<redis::ReplaceableClient> client,
                         const faces::UpstashParts& parts, faces::UpstashOptions options,
                         const std::string& path, net::HttpHandler& rest)
    : client_(std::move(client)),
      face_(parts, std::move(options)),
      own_(face_, ""),
      below_(face_, path),
      mount_(rest, path, below_),
      main_(path.empty() ? &rest : &mount_) {}

void UpstashPart::start(net::TaskGroup& tasks) {
  tasks.repeat("upstash.ping", kPingEvery, [this]() -> Task<void> {
    face_.ping();
    co_return Result<void>{};
  });
}

void UpstashPart::stop() {
  if (client_) client_->stop();
}

}  // namespace redoubt::app
