#include "redis/cluster_nodes.hpp"

#include "redis/calls.hpp"
#include "redis/topology.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>

namespace redoubt::redis {

ClusterNodes::ClusterNodes(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)),
      seeds_(std::get<Cluster>(shared_->options.topology).seeds),
      plan_(plan_of(*shared_)),
      backoff_(shared_->options.backoff),
      pause_(shared_->parts.timers.alarm()) {
  // A node that is no master any more says MOVED, and that is of more use than closing it.
  plan_.handshake.require_master = false;
  // The key is in one slot, and most nodes would refuse it.
  plan_.handshake.identity_key.clear();
}

void ClusterNodes::stop() {
  if (stopped_) return;
  const auto self = shared_from_this();
  stopped_ = true;
  last_error_ = "the client was stopped";
  pause_->ring();
  owners_.clear();
  for (Links* const links : {&links_, &probes_}) {
    const Links stopping = std::exchange(*links, {});
    for (const auto& [name, link] : stopping) link->stop();
  }
  for (const auto& watcher : watchers_) watcher->ring();
}

Task<void> ClusterNodes::mapped(BootTime deadline, Wait wait) {
  const auto self = shared_from_this();
  while (map_.is_empty() && !stopped_ && (wait == Wait::patiently || !failing_)) {
    const auto left = std::chrono::ceil<Duration>(deadline - shared_->now());
    if (left.count() <= 0) break;
    const std::shared_ptr<Alarm> watcher = shared_->parts.timers.alarm();
    watchers_.push_back(watcher);
    co_await watcher->wait(left);
    std::erase(watchers_, watcher);
  }
  if (!map_.is_empty() && !stopped_) co_return Result<void>{};
  co_return fail(
      not_sent(last_error_.empty() ? "the cluster's slots are not known yet" : last_error_));
}

std::shared_ptr<Link> ClusterNodes::link_for(std::optional<std::uint16_t> slot, LinkUse use) {
  if (map_.is_empty() || stopped_) return nullptr;
  if (!slot) return link_to(any(), use);
  const std::optional<std::size_t> owner = map_.owner_index(*slot);
  if (!owner) return nullptr;
  if (use == LinkUse::probes) return link_to(map_.masters()[*owner], use);
  owners_.resize(map_.masters().size());
  if (!owners_[*owner]) owners_[*owner] = link_to(map_.masters()[*owner], use);
  return owners_[*owner];
}

std::shared_ptr<Link> ClusterNodes::link_to(const Endpoint& endpoint, LinkUse use) {
  if (stopped_) return nullptr;
  Links& links = use == LinkUse::commands ? links_ : probes_;
  std::shared_ptr<Link>& link = links[endpoint.text()];
  if (!link) {
    LinkObserver* const observer = use == LinkUse::commands ? &observer_ : nullptr;
    ConnectionPlan plan = plan_;
    plan.handshake.track = use == LinkUse::commands && shared_->parts.tracking != nullptr;
    plan.probe = use == LinkUse::probes;
    link = std::make_shared<Link>(shared_, std::move(plan), fixed_target(endpoint), observer);
    link->start();
  }
  return link;
}

Endpoint ClusterNodes::any() {
  const std::vector<Endpoint>& known = map_.is_empty() ? seeds_ : map_.masters();
  return known[next_any_++ % known.size()];
}

std::vector<std::shared_ptr<Link>> ClusterNodes::links() const {
  std::vector<std::shared_ptr<Link>> all;
  for (const auto& [name, link] : links_) all.push_back(link);
  return all;
}

void ClusterNodes::moved(const Redirect& redirect) {
  map_.move(redirect.slot, redirect.endpoint);
  refresh(redirect.endpoint);
}

void ClusterNodes::lost(const Error& why) {
  last_error_ = why.cause.empty() ? why.message : why.cause;
  refresh(std::nullopt);
}

void ClusterNodes::refresh(std::optional<Endpoint> from) {
  if (stopped_ || !refresh_.request(std::move(from))) return;
  const auto keep = [self = shared_from_this()](std::exception_ptr thrown) {
    if (!thrown || self->stopped_) return;
    self->shared_->parts.log.error("background.died", {{"task", "redis.cluster"}});
    self->stop();
  };
  boost::asio::co_spawn(shared_->executor, read_map(), keep);
}

boost::asio::awaitable<void> ClusterNodes::read_map() {
  const auto self = shared_from_this();
  for (bool more = true; more && !stopped_;) {
    const Duration pause = refresh_.pause(shared_->now(), shared_->parts.random);
    if (pause.count() > 0) co_await pause_->wait(pause);
    if (stopped_) co_return;
    const bool ok = co_await read_once();
    if (stopped_) co_return;
    failing_ = !ok && map_.is_empty();
    for (const auto& watcher : watchers_) watcher->ring();
    if (!ok) {
      const Duration wait = backoff_.lost(Duration(0), shared_->parts.random);
      co_await pause_->wait(std::max(wait, shared_->options.backoff.first));
    } else {
      backoff_ = BackoffMachine(shared_->options.backoff);
    }
    if (stopped_) co_return;
    refresh_.finished(shared_->now(), ok);
    more = refresh_.again() && refresh_.request(std::nullopt);
  }
}

boost::asio::awaitable<bool> ClusterNodes::read_once() {
  const std::vector<Endpoint> asked = candidates();
  for (const Endpoint& endpoint : asked) {
    Result<SlotMap> map = co_await read_from(endpoint);
    if (stopped_) co_return false;
    if (map && !map->is_empty()) {
      adopt(std::move(*map));
      co_return true;
    }
    last_error_ = map ? "a node knows no slots" : map.error().cause;
  }
  co_return false;
}

Task<SlotMap> ClusterNodes::read_from(Endpoint endpoint) {
  const std::shared_ptr<Link> link = link_to(endpoint, LinkUse::commands);
  if (!link) co_return fail(not_sent("the client was stopped"));
  Command command("CLUSTER");
  command.arg("SLOTS").read_only().within(shared_->options.timeouts.connect);
  RD_CO_TRY(reply, co_await run_on(shared_, link, std::move(command)));
  co_return SlotMap::parse(reply, endpoint);
}

// Whom to ask for the map: the node that redirected, those that answer, the others, the seeds.
std::vector<Endpoint> ClusterNodes::candidates() {
  std::vector<Endpoint> all;
  const auto add = [&all](const Endpoint& endpoint) {
    if (std::ranges::find(all, endpoint) == all.end()) all.push_back(endpoint);
  };
  if (const auto preferred = refresh_.take_preferred()) add(*preferred);
  for (const bool ready : {true, false}) {
    for (const Endpoint& endpoint : map_.masters()) {
      const auto link = links_.find(endpoint.text());
      const bool is_ready = link != links_.end() && link->second->is_ready();
      if (is_ready == ready) add(endpoint);
    }
  }
  for (const Endpoint& seed : seeds_) add(seed);
  return all;
}

void ClusterNodes::adopt(SlotMap map) {
  map_ = std::move(map);
  owners_.clear();
  shared_->parts.log.info("redis.slots_read", {{"masters", map_.masters().size()}});
  retire_links();
}

// Links to nodes that own nothing any more, when nothing waits for them.
void ClusterNodes::retire_links() {
  for (Links* const links : {&links_, &probes_}) {
    for (auto at = links->begin(); at != links->end();) {
      const std::shared_ptr<Link> link = at->second;
      const bool owner = std::ranges::any_of(
          map_.masters(), [&](const Endpoint& master) { return master.text() == at->first; });
      if (owner || link->in_flight() > 0) {
        ++at;
        continue;
      }
      at = links->erase(at);
      link->stop();
    }
  }
}

}  // namespace redoubt::redis
