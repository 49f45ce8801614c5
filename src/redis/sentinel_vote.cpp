#include "base/text.hpp"
#include "redis/sentinel.hpp"

#include <algorithm>

namespace redoubt::redis {
namespace {

std::optional<Endpoint> endpoint_of(std::string_view host, std::string_view port_text) {
  const auto port = parse_int(port_text);
  if (host.empty() || !port || *port < 1 || *port > 65535) return std::nullopt;
  Endpoint endpoint;
  endpoint.host = host;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

}  // namespace

void SentinelVote::answer(std::optional<Endpoint> master) {
  if (silent_ > 0) --silent_;
  if (!master) return;
  for (auto& [endpoint, count] : votes_) {
    if (endpoint == *master) {
      ++count;
      return;
    }
  }
  votes_.emplace_back(std::move(*master), 1);
}

bool SentinelVote::is_settled() const {
  if (silent_ == 0) return true;
  return std::ranges::any_of(votes_, [this](const auto& vote) { return vote.second >= majority_; });
}

std::optional<Endpoint> SentinelVote::winner() const {
  const auto most =
      std::ranges::max_element(votes_, {}, [](const auto& vote) { return vote.second; });
  if (most == votes_.end()) return std::nullopt;
  return most->first;
}

std::optional<Endpoint> master_address(const Value& reply) {
  if (reply.items().size() != 2) return std::nullopt;
  return endpoint_of(reply.items()[0].text(), reply.items()[1].text());
}

std::optional<Endpoint> switched_master(std::string_view message, std::string_view name) {
  const std::vector<std::string_view> words = split(message, ' ');
  if (words.size() != 5 || words[0] != name) return std::nullopt;
  return endpoint_of(words[3], words[4]);
}

}  // namespace redoubt::redis
