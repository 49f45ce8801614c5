#include "shared/claims.hpp"

#include "redis/client.hpp"
#include "shared/keys.hpp"
#include "shared/state.hpp"
#include "shared_scripts.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace redoubt::shared {
namespace {

const redis::Script& give_back_script() {
  static const redis::Script script(std::string(scripts::f_give_back_lua),
                                    redis::Script::Effect::repeatable);
  return script;
}

std::string key_in(const KeySpace& keys, const CopyName& name) {
  const std::array<std::string_view, 2> segments{name.id, "fill"};
  return keys.key(name.tenant, name.noun, segments);
}

class RedisClaims final : public Claims {
 public:
  RedisClaims(redis::Client& client, SharedState& state, Metrics& metrics)
      : client_(client),
        state_(state),
        ours_(counter(metrics, "ours")),
        held_(counter(metrics, "held")),
        unknown_(counter(metrics, "unknown")) {}

  boost::asio::awaitable<Claimed> claim(CopyName name, std::string token, Duration life) override {
    if (!state_.usable() || !state_.takes_writes()) co_return noted(Claimed::unknown);
    redis::Command command("SET");
    command.key(key_of(name)).arg(token).arg("NX").arg("PX").arg(life.count());
    command.within(state_.deadline());
    const Result<redis::Value> reply = co_await client_.run(std::move(command));
    if (!reply) {
      state_.failed(reply.error());
      co_return noted(Claimed::unknown);
    }
    state_.answered();
    co_return noted(reply->is_null() ? Claimed::held : Claimed::ours);
  }

  boost::asio::awaitable<void> give_back(CopyName name, std::string token) override {
    if (!state_.usable()) co_return;
    const std::string key = key_of(name);
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {token};
    redis::Command command = give_back_script().command(keys, arguments);
    command.within(state_.deadline());
    const Result<redis::Value> reply = co_await client_.run(std::move(command));
    if (reply) {
      state_.answered();
    } else {
      state_.failed(reply.error());
    }
  }

 private:
  static Counter& counter(Metrics& metrics, std::string_view result) {
    return metrics.counter("redoubt_shared_claims_total",
                           "Claims to do what one of all instances need do, by what came of them.",
                           {{"result", result}});
  }
  Claimed noted(Claimed claimed) {
    (claimed == Claimed::ours ? ours_ : claimed == Claimed::held ? held_ : unknown_).add();
    return claimed;
  }
  std::string key_of(const CopyName& name) {
    const std::int64_t generation = state_.generation();
    if (generation != keys_.generation()) keys_ = KeySpace(generation);
    return key_in(keys_, name);
  }

  redis::Client& client_;
  SharedState& state_;
  Counter& ours_;
  Counter& held_;
  Counter& unknown_;
  KeySpace keys_{0};
};

}  // namespace

std::unique_ptr<Claims> make_redis_claims(redis::Client& client, SharedState& state,
                                          Metrics& metrics) {
  return std::make_unique<RedisClaims>(client, state, metrics);
}

boost::asio::awaitable<Claimed> MemoryClaims::claim(CopyName name, std::string token,
                                                    Duration life) {
  if (auto elsewhere = std::exchange(elsewhere_, {})) elsewhere();
  if (failing_) co_return Claimed::unknown;
  Held& held = held_[key_in(KeySpace(0), name)];
  if (clock_.boot() < held.ends) co_return Claimed::held;
  held = {std::move(token), clock_.boot() + life};
  co_return Claimed::ours;
}

boost::asio::awaitable<void> MemoryClaims::give_back(CopyName name, std::string token) {
  const auto it = held_.find(key_in(KeySpace(0), name));
  if (!failing_ && it != held_.end() && it->second.token == token) held_.erase(it);
  co_return;
}

}  // namespace redoubt::shared
