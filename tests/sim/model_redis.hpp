// A Redis as far as our commands go, which can do everything that the real one does to its clients:
// lose what it was told, be a replica of a while ago that is promoted, go on beside the one that
// replaced it, evict, stand still, answer any error, and have its clock set.
//
// Threads: one.
#pragma once

#include "redis/client.hpp"
#include "tests/sim/keyspace.hpp"
#include "tests/sim/twins.hpp"
#include "tests/sim/world.hpp"

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sim {

class ModelRedis {
 public:
  using Value = wire::resp::Value;

  // One execution of a script.
  struct Ran {
    const ModelRedis& server;
    std::string_view script;
    std::span<const std::string_view> keys;
    std::span<const std::string_view> arguments;
    const Value& reply;
    std::int64_t client;  // As given to submit().
  };
  using Witness = std::function<void(const Ran&)>;

  ModelRedis(World& world, int number, Witness witness);

  int number() const { return number_; }
  redis::ServerFacts facts();
  // The run of the process that connections belong to: it grows with every restart.
  std::uint64_t run() const { return run_; }
  // The memory: it changes whenever something in it was lost or put back.
  std::uint64_t memory() const { return memory_; }
  bool reachable() const { return !down_; }
  bool hung() const { return hung_; }

  // Executes `encoded`, as a client sends it, and hands on the reply; later while it hangs, and
  // never if it is restarted first.
  void submit(std::string encoded, std::int64_t client, std::move_only_function<void(Value)> reply);

  // ---- Faults ----

  void stop() { down_ = true; }
  void start_empty();
  void start_with(const Keyspace& saved);
  Keyspace saved() const { return keys_; }  // A snapshot, or what a replica has.
  void flush();
  void evict(unsigned percent);
  void forget_scripts() { scripts_.clear(); }
  void hang() { hung_ = true; }
  void go_on();
  // Every command but the handshake is answered so; empty: no more.
  void answer_with(std::string error) { error_ = std::move(error); }
  // Writes alone: READONLY, OOM, MISCONF, NOREPLICAS.
  void refuse_writes(std::string error) { write_error_ = std::move(error); }
  void demote();
  void move_clock(std::chrono::microseconds by) { ahead_ += by; }
  std::chrono::microseconds ahead() const { return ahead_; }  // Of the world's clock.

  std::int64_t clock_us() const;

 private:
  struct Waiting {
    std::string encoded;
    std::int64_t client;
    std::move_only_function<void(Value)> reply;
  };
  Value execute(std::string_view encoded, std::int64_t client);
  Value set(std::span<const std::string_view> words);
  Value run_script(std::span<const std::string_view> words, std::int64_t client);
  void restart();

  World& world_;
  const int number_;
  const Witness witness_;
  Keyspace keys_;
  std::set<std::string, std::less<>> scripts_;
  std::vector<Waiting> waiting_;
  std::uint64_t run_ = 1;
  std::uint64_t replication_ = 1;
  std::uint64_t memory_;
  std::chrono::microseconds ahead_{0};
  std::string error_;
  std::string write_error_;
  bool down_ = false;
  bool hung_ = false;
  bool replica_ = false;
};

}  // namespace redoubt::sim
