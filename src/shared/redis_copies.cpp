// Copies in Redis: a GET to read, a PSETEX where nobody else can have written, and a script where
// the version decides.
#include "shared/copies.hpp"

#include "base/assert.hpp"
#include "redis/client.hpp"
#include "shared/state.hpp"
#include "shared_scripts.hpp"

#include <utility>

namespace redoubt::shared {
namespace {

using redis::Command;
using redis::Value;

const redis::Script& set_if_newer() {
  static const redis::Script script(std::string(scripts::f_set_if_newer_lua),
                                    redis::Script::Effect::repeatable);
  return script;
}

void check_life(Duration life) {
  RD_ASSERT(life > Duration(0) && life <= kCopyLifeMax, "the lifetime of a copy is out of range");
}

class RedisCopies final : public Copies {
 public:
  RedisCopies(redis::Client& client, SharedState& state, Metrics& metrics)
      : client_(client), state_(state), metrics_(metrics) {}

  boost::asio::awaitable<std::optional<Copy>> get(CopyName name) override {
    if (!state_.usable()) {
      metrics_.unread.add();
      co_return std::nullopt;
    }
    Command command = Command("GET").key(key_of(name)).read_only().within(state_.deadline());
    Result<Value> reply = co_await client_.run(std::move(command));
    co_return found(std::move(reply));
  }

  boost::asio::awaitable<std::vector<std::optional<Copy>>> get_all(
      std::vector<CopyName> names) override {
    std::vector<std::optional<Copy>> copies(names.size());
    if (!state_.usable()) {
      metrics_.unread.add(names.size());
      co_return copies;
    }
    std::vector<Command> commands;
    commands.reserve(names.size());
    for (const CopyName& name : names) {
      commands.push_back(Command("GET").key(key_of(name)).read_only().within(state_.deadline()));
    }
    std::vector<Result<Value>> replies = co_await client_.run_all(std::move(commands));
    for (std::size_t i = 0; i < copies.size(); ++i) copies[i] = found(std::move(replies[i]));
    co_return copies;
  }

  boost::asio::awaitable<Stored> put(CopyName name, Copy copy, Duration life) override {
    check_life(life);
    if (!state_.usable()) co_return skipped();
    // The value last, as in the script. SET would have it in the middle.
    Command command = Command("PSETEX")
                          .key(key_of(name))
                          .arg(life.count())
                          .arg(encode_copy(copy.version, copy.bytes))
                          .repeatable()
                          .within(state_.deadline());
    Result<Value> reply = co_await client_.run(std::move(command));
    if (!heard(reply)) co_return skipped();
    metrics_.written.add();
    co_return Stored::stored;
  }

  boost::asio::awaitable<Stored> put_if_newer(CopyName name, Copy copy, Duration life) override {
    co_return co_await set(name, encode_copy(copy.version, copy.bytes), life);
  }

  boost::asio::awaitable<Stored> bury(CopyName name, Duration life) override {
    co_return co_await set(name, encode_tombstone(), life);
  }

 private:
  std::string key_of(const CopyName& name) {
    const std::int64_t generation = state_.generation();
    if (generation != keys_.generation()) keys_ = KeySpace(generation);
    return keys_.key(name.tenant, name.noun, name.id);
  }

  boost::asio::awaitable<Stored> set(CopyName name, std::string value, Duration life) {
    check_life(life);
    if (!state_.usable()) co_return skipped();
    const std::string key = key_of(name);
    const std::string ms = std::to_string(life.count());
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {ms, value};
    Result<Value> reply = co_await client_.script(set_if_newer(), keys, arguments);
    if (!heard(reply)) co_return skipped();
    const bool stored = reply->as_integer() == 1;
    (stored ? metrics_.written : metrics_.older).add();
    co_return stored ? Stored::stored : Stored::older;
  }

  Stored skipped() {
    metrics_.unwritten.add();
    return Stored::nowhere;
  }

  bool heard(const Result<Value>& reply) {
    if (reply) {
      state_.answered();
    } else {
      state_.failed(reply.error());
    }
    return reply.has_value();
  }

  std::optional<Copy> found(Result<Value> reply) {
    if (!heard(reply)) {
      metrics_.unread.add();
      return std::nullopt;
    }
    if (reply->is_null()) {
      metrics_.misses.add();
      return std::nullopt;
    }
    std::optional<Copy> copy = decode_copy(reply->take_text());
    if (copy && copy->version == kBuried) {
      metrics_.buried.add();
      return std::nullopt;
    }
    (copy ? metrics_.hits : metrics_.strange).add();
    return copy;
  }

  redis::Client& client_;
  SharedState& state_;
  CopyMetrics metrics_;
  KeySpace keys_{0};
};

}  // namespace

std::unique_ptr<Copies> make_redis_copies(redis::Client& client, SharedState& state,
                                          Metrics& metrics) {
  return std::make_unique<RedisCopies>(client, state, metrics);
}

}  // namespace redoubt::shared
