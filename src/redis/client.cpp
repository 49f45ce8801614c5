#include "redis/client.hpp"

#include "redis/stream.hpp"
#include "redis/topology.hpp"

namespace redoubt::redis {
namespace {

// Of a transport that cannot send without somebody who waits.
class SentWhenAwaited final : public Sent {
 public:
  SentWhenAwaited(Client& client, Command command)
      : client_(client), command_(std::move(command)) {}
  Task<Value> reply() override { return client_.run(std::move(command_)); }

 private:
  Client& client_;
  Command command_;
};

}  // namespace

std::unique_ptr<Sent> Client::send(Command command) {
  return std::make_unique<SentWhenAwaited>(*this, std::move(command));
}

Result<std::unique_ptr<Client>> make_client(boost::asio::any_io_executor executor,
                                            const Options& options, const ClientParts& parts) {
  RD_CHECK(check_options(options));
  RD_TRY(tls, make_tls_context(options.tls));
  auto shared = std::make_shared<Shared>(Shared{std::move(executor),
                                                options,
                                                parts,
                                                std::move(tls),
                                                ClientMetrics(parts.metrics),
                                                {},
                                                std::make_shared<RetryBudget>()});
  if (std::holds_alternative<Cluster>(options.topology)) {
    return make_cluster_client(std::move(shared));
  }
  if (std::holds_alternative<Rest>(options.topology)) return make_rest_client(std::move(shared));
  return make_single_client(std::move(shared));
}

}  // namespace redoubt::redis
