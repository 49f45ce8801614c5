// A Lua script, sent by its SHA-1 and whole only when a server does not have it.
//
// A server forgets scripts when it restarts, fails over or is told to (SCRIPT FLUSH). So a single
// call is EVALSHA, and EVAL once after NOSCRIPT, which is safe because NOSCRIPT says that nothing
// ran. In a pipeline or transaction that repair would change the order, so there a script goes as
// EVALSHA only when this connection has already run it, and as EVAL otherwise.
//
// Threads: immutable. A Script outlives the commands made of it; it is usually a constant.
#pragma once

#include "redis/command.hpp"

#include <span>
#include <string>
#include <string_view>

namespace redoubt::redis {

class Script {
 public:
  enum class Effect : std::uint8_t {
    once,        // Not sent again when its outcome is unknown.
    repeatable,  // Running it twice is running it once.
    read_only,
  };

  explicit Script(std::string source, Effect effect = Effect::once);
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  std::string_view source() const { return source_; }
  std::string_view sha() const { return sha_; }  // 40 hexadecimal digits.
  Effect effect() const { return effect_; }

  // For run_all and transaction, and what Client::script sends.
  Command command(std::span<const std::string_view> keys,
                  std::span<const std::string_view> arguments) const;
  // The same as far as the number of keys: they are to be added, and then the arguments.
  Command start(std::size_t keys) const;

 private:
  friend class Command;

  std::string source_;
  std::string sha_;
  std::string prefix_;  // EVALSHA and the SHA, encoded.
  Effect effect_;
};

}  // namespace redoubt::redis
