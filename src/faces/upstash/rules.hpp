// What becomes of a command on its way to Redis: whether its sender may send it, where its keys
// are, what the tenant's prefix makes of them, and back.
//
//   refused for everybody    commands that wait, and those that belong to a connection (SELECT,
//   AUTH,
//                            MULTI, SUBSCRIBE, CLIENT, ...)
//   only for admins          what concerns the whole server or keyspace (CONFIG, FLUSHALL, KEYS,
//                            SCRIPT, FUNCTION, DEBUG, INFO, ...), keys of the server itself, and
//                            commands that are not in the table: what they do, and to which keys,
//                            is not known
//   not for read-only access what writes, SCAN, and scripts: what they call cannot be judged from
//                            their text, and a _RO script may call KEYS and read any key
//
// With a prefix per tenant, every key and channel `k` of tenant `t` is `tenant:t:k` in Redis, and
// names in replies lose the prefix again. Then commands that are not in the table are refused, as
// are RANDOMKEY and PUBSUB; and so are scripts, which may name any key, unless they are allowed.
//
// Threads: immutable but for scratch memory: one per worker.
#pragma once

#include "faces/upstash/access.hpp"
#include "redis/command.hpp"
#include "wire/redis_commands.hpp"
#include "wire/resp.hpp"

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

struct UpstashRules {
  bool tenant_prefix = false;
  bool tenant_scripts = false;          // Scripts where there is a prefix per tenant.
  std::string reserved_prefix = "rd:";  // Of the server's own keys and channels; empty: none.
};

class UpstashGatekeeper {
 public:
  explicit UpstashGatekeeper(UpstashRules rules) : rules_(std::move(rules)) {}

  struct Admitted {
    redis::Command command;
    const wire::RedisCommand* known;  // Null: not in the table.
  };
  // The command to send, or the error to answer, in the words of a Redis.
  std::expected<Admitted, std::string> admit(std::span<const std::string_view> arguments,
                                             const UpstashGrant& grant);

  // A reply in the shape RESP2 has it, without the prefix of the sender's tenant.
  wire::resp::Value reply(wire::resp::Value value, const wire::RedisCommand* known,
                          const UpstashGrant& grant) const;

  // The channel or pattern to subscribe to, or the error to answer.
  std::expected<std::string, std::string> channel(std::string_view name,
                                                  const UpstashGrant& grant) const;
  bool may_monitor(const UpstashGrant& grant) const;
  // Whether what is said on this channel is for that sender's ears.
  bool may_hear(std::string_view channel, const UpstashGrant& grant) const;
  // Without the tenant's prefix.
  std::string_view shown(std::string_view name, const UpstashGrant& grant) const;

  static std::string not_available(std::string_view name, std::string_view why);
  static std::string not_permitted(std::string_view name);

 private:
  std::expected<void, std::string> judge(const wire::RedisCommand* known,
                                         std::span<const std::string_view> arguments,
                                         const UpstashGrant& grant) const;
  std::expected<void, std::string> judge_unknown(std::string_view name,
                                                 const UpstashGrant& grant) const;
  std::expected<void, std::string> judge_for_tenant(const wire::RedisCommand& known,
                                                    std::string_view name) const;
  bool is_reserved(std::string_view key) const;
  std::string prefix_of(const UpstashGrant& grant) const;
  redis::Command build(std::span<const std::string_view> arguments, const wire::RedisCommand* known,
                       std::string_view prefix);
  redis::Command build_enumeration(std::span<const std::string_view> arguments, bool scan,
                                   std::string_view prefix) const;

  UpstashRules rules_;
  std::vector<std::size_t> positions_;  // Scratch.
  std::string key_;
};

}  // namespace redoubt::faces
