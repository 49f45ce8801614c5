#include "redis/slot_map.hpp"

#include <algorithm>

namespace redoubt::redis {
namespace {

constexpr Duration kRefreshEvery{1000};

Unexpected not_slots() {
  return fail(Error(Errc::internal, "redis_error", "Redis could not execute a command",
                    "CLUSTER SLOTS has another form than expected"));
}

// [address, port, id, ...]. An address that is empty or unknown ("?") means: the one that was
// asked.
std::optional<Endpoint> node_of(const Value& node, const Endpoint& asked) {
  const std::span<const Value> parts = node.items();
  if (parts.size() < 2) return std::nullopt;
  const std::int64_t port = parts[1].as_integer();
  if (port < 1 || port > 65535) return std::nullopt;
  Endpoint endpoint;
  endpoint.host = parts[0].text();
  if (endpoint.host.empty() || endpoint.host == "?") endpoint.host = asked.host;
  endpoint.port = static_cast<std::uint16_t>(port);
  return endpoint;
}

}  // namespace

Result<SlotMap> SlotMap::parse(const Value& reply, const Endpoint& asked) {
  if (!reply.is_aggregate()) return not_slots();
  SlotMap map;
  for (const Value& range : reply.items()) {
    const std::span<const Value> parts = range.items();
    if (parts.size() < 3) return not_slots();
    const std::int64_t first = parts[0].as_integer();
    const std::int64_t last = parts[1].as_integer();
    const std::optional<Endpoint> master = node_of(parts[2], asked);
    if (first < 0 || last < first || last >= wire::kSlots || !master) return not_slots();
    const std::uint16_t index = map.index_of(*master);
    std::fill(map.owners_.begin() + first, map.owners_.begin() + last + 1, index);
  }
  return map;
}

const Endpoint* SlotMap::owner(std::uint16_t slot) const {
  const std::uint16_t index = owners_[slot];
  return index == kNobody ? nullptr : &masters_[index];
}

std::optional<std::size_t> SlotMap::owner_index(std::uint16_t slot) const {
  const std::uint16_t index = owners_[slot];
  if (index == kNobody) return std::nullopt;
  return index;
}

void SlotMap::move(std::uint16_t slot, const Endpoint& to) {
  owners_[slot] = index_of(to);
}

bool SlotMap::is_complete() const {
  return std::ranges::find(owners_, kNobody) == owners_.end();
}

bool SlotMap::has_master(const Endpoint& endpoint) const {
  return std::ranges::find(masters_, endpoint) != masters_.end();
}

std::uint16_t SlotMap::index_of(const Endpoint& endpoint) {
  const auto at = std::ranges::find(masters_, endpoint);
  const auto index = static_cast<std::uint16_t>(at - masters_.begin());
  if (at == masters_.end()) masters_.push_back(endpoint);
  return index;
}

RedirectMachine::Action RedirectMachine::after(std::string_view reply) {
  const Meaning meaning = classify(reply);
  if (meaning == Meaning::try_again) {
    return ++pauses_ <= kPausesMax ? Action::pause : Action::done;
  }
  if (meaning != Meaning::moved && meaning != Meaning::ask) return Action::done;
  const std::optional<Redirect> redirect = parse_redirect(reply);
  if (!redirect || ++redirects_ > kRedirectsMax) return Action::done;
  redirect_ = *redirect;
  return meaning == Meaning::moved ? Action::move : Action::ask;
}

Duration RedirectMachine::delay(Random& random) const {
  const std::uint64_t ceiling = std::uint64_t{4} << pauses_;
  return Duration(static_cast<std::int64_t>(1 + random.below(ceiling)));
}

bool RefreshMachine::request(std::optional<Endpoint> from) {
  if (from) preferred_ = std::move(from);
  if (running_) {
    again_ = true;
    return false;
  }
  running_ = true;
  again_ = false;
  return true;
}

Duration RefreshMachine::pause(BootTime now, Random& random) const {
  if (!last_) return Duration(0);
  const auto since = std::chrono::duration_cast<Duration>(now - *last_);
  if (since >= kRefreshEvery) return Duration(0);
  const auto jitter = static_cast<std::int64_t>(random.below(250));
  return kRefreshEvery - since + Duration(jitter);
}

void RefreshMachine::finished(BootTime now, bool ok) {
  running_ = false;
  if (ok) {
    last_ = now;
  } else {
    again_ = true;
  }
}

}  // namespace redoubt::redis
