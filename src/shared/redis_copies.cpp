// Copies in Redis: a GET to read, a PSETEX where nobody else can have written, and a script where
// the version decides.
#include "shared/copies.hpp"

#include "base/assert.hpp"
#include "redis/client.hpp"
#include "shared/set_if_newer.hpp"
#include "shared/state.hpp"

#include <utility>

namespace redoubt::shared {
namespace {

using redis::Command;
using redis::Value;

void check_life(Duration life) {
  RD_ASSERT(life > Duration(0) && life <= kCopyLifeMax, "the lifetime of a copy is out of range");
}

class RedisCopies final : public Copies {
 public:
  RedisCopies(redis::Client& client, SharedState& state, Metrics& metrics)
      : client_(client), state_(state), metrics_(metrics) {}

  boost::asio::awaitable<std::optional<Copy>> get(CopyName name, View view) override {
    if (!may_read(name, view)) {
      not_read(1);
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
      not_read(names.size());
      co_return copies;
    }
    std::vector<Command> commands;
    commands.reserve(names.size());
    std::vector<std::size_t> asked;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!may_read(names[i], View::fresh)) continue;
      asked.push_back(i);
      commands.push_back(
          Command("GET").key(key_of(names[i])).read_only().within(state_.deadline()));
    }
    not_read(names.size() - asked.size());
    if (asked.empty()) co_return copies;
    std::vector<Result<Value>> replies = co_await client_.run_all(std::move(commands));
    for (std::size_t i = 0; i < asked.size(); ++i) copies[asked[i]] = found(std::move(replies[i]));
    co_return copies;
  }

  boost::asio::awaitable<WatchedCopy> watch(CopyName name) override {
    if (!state_.usable()) {
      not_read(1);
      co_return WatchedCopy{};
    }
    redis::Watched told = redis::Watched::never;
    Result<Value> reply = co_await client_.run(watching(name, told));
    co_return found_watched(std::move(reply), told);
  }

  boost::asio::awaitable<std::vector<WatchedCopy>> watch_all(std::vector<CopyName> names) override {
    std::vector<WatchedCopy> copies(names.size());
    if (!state_.usable()) {
      not_read(names.size());
      co_return copies;
    }
    std::vector<redis::Watched> told(names.size(), redis::Watched::never);
    std::vector<Command> commands;
    commands.reserve(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      commands.push_back(watching(names[i], told[i]));
    }
    std::vector<Result<Value>> replies = co_await client_.run_all(std::move(commands));
    for (std::size_t i = 0; i < copies.size(); ++i) {
      copies[i] = found_watched(std::move(replies[i]), told[i]);
    }
    co_return copies;
  }

  boost::asio::awaitable<Stored> put(CopyName name, Copy copy, Duration life) override {
    check_life(life);
    if (!state_.usable() || !state_.takes_writes()) co_return skipped();
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
    check_life(life);
    if (!state_.usable() || !state_.takes_writes()) co_return skipped();
    co_return written(co_await send(name, encode_copy(copy.version, copy.bytes), life));
  }

  // Also while the record cannot be asked: then copies are what others still answer by.
  boost::asio::awaitable<Stored> bury(CopyName name, Duration life) override {
    check_life(life);
    if (!state_.reachable()) co_return skipped();
    if (!state_.takes_writes()) co_return co_await forget(name);
    const Result<Value> reply = co_await send(name, encode_tombstone(), life);
    if (!reply && reply.error().slug == "redis_full") co_return co_await forget(name);
    co_return written(reply);
  }

 private:
  // A copy that is looked for while the record is away may be the only one there is: it does not
  // wait for the ramp.
  bool may_read(const CopyName& name, View view) const {
    if (view == View::as_last_known) return state_.reachable();
    return state_.usable() && reads_open(state_, name);
  }

  std::string key_of(const CopyName& name) {
    const std::int64_t generation = state_.generation();
    if (generation != keys_.generation()) keys_ = KeySpace(generation);
    return keys_.key(name.tenant, name.noun, name.id);
  }

  Command watching(const CopyName& name, redis::Watched& told) {
    return Command("GET").key(key_of(name)).read_only().watch(told).within(state_.deadline());
  }

  WatchedCopy found_watched(Result<Value> reply, redis::Watched told) {
    const bool answered = reply.has_value();
    WatchedCopy copy{.copy = found(std::move(reply)), .watched = Watched::no};
    if (answered && told == redis::Watched::yes) copy.watched = Watched::yes;
    if (answered && told == redis::Watched::never) copy.watched = Watched::never;
    return copy;
  }

  boost::asio::awaitable<Result<Value>> send(CopyName name, std::string value, Duration life) {
    const std::string key = key_of(name);
    const std::string ms = std::to_string(life.count());
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {ms, value};
    Command command = set_if_newer().command(keys, arguments);
    command.within(state_.deadline());
    Result<Value> reply = co_await client_.run(std::move(command));
    heard(reply);
    co_return reply;
  }

  Stored written(const Result<Value>& reply) {
    if (!reply) return skipped();
    const bool stored = reply->as_integer() == 1;
    (stored ? metrics_.written : metrics_.older).add();
    return stored ? Stored::stored : Stored::older;
  }

  // A Redis that is full still deletes. Nothing stands in the place of the copy then.
  boost::asio::awaitable<Stored> forget(CopyName name) {
    Command command = Command("DEL").key(key_of(name)).repeatable().within(state_.deadline());
    heard(co_await client_.run(std::move(command)));
    co_return skipped();
  }

  // Of one that is turned off nothing is missed, and nothing counted.
  void not_read(std::size_t copies) {
    if (!state_.off()) metrics_.unread.add(copies);
  }

  Stored skipped() {
    if (!state_.off()) metrics_.unwritten.add();
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
      not_read(1);
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

constexpr std::string_view kChangesHelp =
    "What Redis told of copies that were read: that one has changed, or that none is watched any "
    "more.";

class CopyTracking final : public redis::TrackingHandler {
 public:
  CopyTracking(CopyListener& listener, Metrics& metrics)
      : listener_(listener),
        one_(metrics.counter("redoubt_shared_copy_changes_total", kChangesHelp, {{"of", "one"}})),
        all_(metrics.counter("redoubt_shared_copy_changes_total", kChangesHelp, {{"of", "all"}})) {}

  void changed(std::string_view key) override {
    const std::optional<ParsedKey> parsed = parse_key(key);
    if (!parsed || parsed->segments.size() != 1) return;
    one_.add();
    listener_.copy_changed(
        {.noun = parsed->noun, .tenant = parsed->tenant, .id = parsed->segments.front()});
  }
  void all_changed() override {
    all_.add();
    listener_.copies_unwatched();
  }

 private:
  CopyListener& listener_;
  Counter& one_;
  Counter& all_;
};

}  // namespace

std::unique_ptr<redis::TrackingHandler> track_copies(CopyListener& listener, Metrics& metrics) {
  return std::make_unique<CopyTracking>(listener, metrics);
}

std::unique_ptr<Copies> make_redis_copies(redis::Client& client, SharedState& state,
                                          Metrics& metrics) {
  return std::make_unique<RedisCopies>(client, state, metrics);
}

}  // namespace redoubt::shared
