// The clients: they ask instances for everything the services do, at a rate, and write down what
// they were told.
#pragma once

#include "tests/sim/cluster.hpp"
#include "tests/sim/history.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/world.hpp"

#include <redoubt/context.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace redoubt::sim {

class Workload {
 public:
  Workload(World& world, Cluster& cluster, const Plan& plan, History& history);

  void start();
  void slow_down() { pause_ = std::chrono::milliseconds(50); }
  void stop() { stopped_ = true; }

  std::uint64_t operations() const { return begun_; }

 private:
  struct Session {
    int tenant = 0;
    int user = 0;
    std::string id;
    std::string token;
    std::int64_t object = 0;  // Its number in the history.
  };
  struct Key {
    int tenant = 0;
    std::string id;
    std::string token;
    std::int64_t object = 0;  // Its number in the history.
  };
  class Note;  // Writes an operation down when it ends, however it ends.
  using Work = boost::asio::awaitable<void>;

  void next();
  void ask(Instance& instance);
  Operation begin(const Instance& instance, Deed deed, int tenant, std::int64_t object);

  void check(Instance& instance);
  Work check_later(Instance& instance, Operation op, std::string policy);
  void note_decision(Operation& op, const Instance& instance,
                     const Result<LimitDecision>& decision);

  void about_sessions(Instance& instance);
  Work create(Instance& instance, int tenant, int user);
  void verify(Instance& instance, std::size_t session);
  Work verify_later(Instance& instance, Operation op, std::string token);
  void note_verified(Operation& op, const Result<VerifiedSession>& verified);
  Work update(Instance& instance, std::size_t session);
  Work revoke(Instance& instance, std::size_t session);
  Work revoke_all(Instance& instance, int tenant, int user);

  void about_keys(Instance& instance);
  Work make_key(Instance& instance, int tenant);
  void use_key(Instance& instance, std::size_t key);
  Work use_key_later(Instance& instance, Operation op, std::size_t key);
  void note_caller(Operation& op, std::size_t key, const Result<CallerPtr>& caller);
  Work end_key(Instance& instance, std::size_t key);

  void about_cache(Instance& instance);
  Work get(Instance& instance, int tenant, int key);
  Work change(Instance& instance, int tenant, int key);
  void note_value(Operation& op, std::string_view value);

  const Context& context(int tenant) const { return contexts_[static_cast<std::size_t>(tenant)]; }
  std::int64_t& source(int tenant, int key) {
    return source_[static_cast<std::size_t>(tenant * kKeys + key)];
  }
  Work pass(const Instance& instance, Nanos time);

  static constexpr int kKeys = 10;
  static constexpr int kUsers = 5;

  World& world_;
  Cluster& cluster_;
  const Plan& plan_;
  History& history_;
  std::vector<Caller> callers_;
  std::vector<Context> contexts_;
  std::vector<Session> sessions_;
  std::vector<Key> keys_;
  std::array<std::int64_t, static_cast<std::size_t>(kTenants * kKeys)> source_{};
  Nanos pause_;
  std::uint64_t begun_ = 0;
  bool stopped_ = false;
};

}  // namespace redoubt::sim
