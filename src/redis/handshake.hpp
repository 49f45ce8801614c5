// What is said on a new connection before it is used: who we are, which database, and what the
// server says of itself.
//
//   1. HELLO 3 AUTH user password SETNAME name
//        refused as unknown or not permitted -> RESP2: AUTH, CLIENT SETNAME in step 2
//   2. CLIENT TRACKING ON OPTIN, where it is wanted and the server speaks RESP3;
//      SELECT n; ROLE; INFO server, replication, memory; GET identity
//
// A managed service may refuse ROLE, INFO or CLIENT: those facts stay empty. What must work is AUTH
// and SELECT. A server that is still loading, or a replica where a master is required, is not used.
//
// Threads: one. No I/O: next() says what to send, replies() takes the answers.
#pragma once

#include "redis/client.hpp"

#include <optional>
#include <vector>

namespace redoubt::redis {

class Handshake {
 public:
  struct Plan {
    Credentials credentials;
    std::string client_name;
    std::string identity_key;
    int database = 0;
    bool allow_resp3 = true;
    bool require_master = true;
    bool ask_facts = true;  // Off for Sentinels.
    bool track = false;     // What is read with Command::watch().
  };

  explicit Handshake(Plan plan) : plan_(std::move(plan)) {}

  // What to send now, in one pipeline; empty: the handshake is done.
  std::vector<Command> next();
  // As many as were sent, in order. Errors: redis_denied; redis_refused (loading); redis_read_only
  // (a replica); redis_error.
  Result<void> replies(std::vector<Value> values);

  const ServerFacts& facts() const { return facts_; }

 private:
  enum class Stage : std::uint8_t { greet, introduce, done };
  enum class Asked : std::uint8_t { auth, name, track, select, role, info, identity };

  void add(std::vector<Command>& out, Asked what, Command command);
  Result<void> greeted(const Value& reply);
  Result<void> answered(Asked what, Value reply);
  void read_info(std::string_view text);

  Plan plan_;
  ServerFacts facts_;
  std::vector<Asked> asked_;
  Stage stage_ = Stage::greet;
};

}  // namespace redoubt::redis
