// The nodes of a cluster as one client knows them: the slot map, a link to each node that was
// needed, and the reading of the map.
//
// The map is read from the node that redirected, else from any that answers, else from the seeds;
// when a command was redirected, when a node is lost, and until there is one.
//
// Threads: one executor. Life: start() keeps it alive until stop().
#pragma once

#include "redis/link.hpp"
#include "redis/slot_map.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::redis {

enum class LinkUse : std::uint8_t { commands, probes };

class ClusterNodes final : public std::enable_shared_from_this<ClusterNodes> {
 public:
  explicit ClusterNodes(std::shared_ptr<Shared> shared);

  void start() { refresh(std::nullopt); }
  void stop();

  // Waits for the first map, at most until `deadline`; a patient caller does so even though the
  // last attempt to read one failed. Errors: redis_unavailable.
  enum class Wait : std::uint8_t { unless_failing, patiently };
  Task<void> mapped(BootTime deadline, Wait wait = Wait::unless_failing);

  // Of the owner of the slot; of any node without one. Null while nobody owns it.
  std::shared_ptr<Link> link_for(std::optional<std::uint16_t> slot, LinkUse use);
  std::shared_ptr<Link> link_to(const Endpoint& endpoint, LinkUse use);

  // A node answered MOVED.
  void moved(const Redirect& redirect);
  void refresh(std::optional<Endpoint> from);

  const SlotMap& slots() const { return map_; }
  Endpoint any();  // Another at each call.
  std::vector<std::shared_ptr<Link>> links() const;
  const std::string& last_error() const { return last_error_; }

 private:
  // Loses of one node are a reason to look at the map.
  class NodeObserver final : public LinkObserver {
   public:
    explicit NodeObserver(ClusterNodes& nodes) : nodes_(nodes) {}
    void link_lost(const Error& why) override { nodes_.lost(why); }
    void link_failed(const Error& why) override { nodes_.lost(why); }

   private:
    ClusterNodes& nodes_;
  };

  void lost(const Error& why);
  boost::asio::awaitable<void> read_map();
  boost::asio::awaitable<bool> read_once();
  Task<SlotMap> read_from(Endpoint endpoint);
  std::vector<Endpoint> candidates();
  void adopt(SlotMap map);
  void retire_links();

  using Links = std::map<std::string, std::shared_ptr<Link>>;

  std::shared_ptr<Shared> shared_;
  const std::vector<Endpoint> seeds_;
  ConnectionPlan plan_;
  NodeObserver observer_{*this};
  RefreshMachine refresh_;
  BackoffMachine backoff_;
  SlotMap map_;
  Links links_;
  std::vector<std::shared_ptr<Link>> owners_;  // Of links_, by their place in the map.
  Links probes_;
  std::vector<std::shared_ptr<Alarm>> watchers_;
  std::shared_ptr<Alarm> pause_;
  std::string last_error_;
  std::size_t next_any_ = 0;
  bool failing_ = false;
  bool stopped_ = false;
};

}  // namespace redoubt::redis
