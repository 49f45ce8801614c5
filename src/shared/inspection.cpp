#include "shared/inspection.hpp"

#include "base/text.hpp"
#include "redis/script.hpp"
#include "shared/keys.hpp"
#include "shared/redis_info.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

namespace redoubt::shared {
namespace {

using boost::asio::awaitable;
using redis::Command;
using redis::Value;

constexpr Duration kCheckLife{10'000};
constexpr int kScanRounds = 4;
constexpr int kScanCount = 100;

// Every command that is sent for the shared tier, in a harmless form: those of the scripts, too,
// for a script may do no more than the account that runs it.
struct Need {
  std::string_view command;
  std::array<std::string_view, 3> arguments;  // "K" is the key of a text, "L" that of a list.
};
constexpr std::array<Need, 13> kNeeds{{{"SET", {"K", "1"}},
                                       {"PSETEX", {"K", "10000", "1"}},
                                       {"GET", {"K"}},
                                       {"GETRANGE", {"K", "0", "0"}},
                                       {"PEXPIRE", {"K", "10000"}},
                                       {"RPUSH", {"L", "1"}},
                                       {"PEXPIRE", {"L", "10000"}},
                                       {"LLEN", {"L"}},
                                       {"LINDEX", {"L", "0"}},
                                       {"LSET", {"L", "0", "2"}},
                                       {"LTRIM", {"L", "0", "0"}},
                                       {"RPOP", {"L"}},
                                       {"TIME", {}}}};

const redis::Script& check_script() {
  static const redis::Script script(
      "redis.call('TIME') redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) "
      "return redis.call('GET', KEYS[1])",
      redis::Script::Effect::repeatable);
  return script;
}

// DEL is not: what is left behind expires.
bool is_needed(std::string_view command) {
  return command == "EVAL" || std::ranges::find(kNeeds, command, &Need::command) != kNeeds.end();
}

std::chrono::microseconds microseconds(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d);
}

class Inspection {
 public:
  Inspection(const InspectParts& parts, const InspectOptions& options)
      : parts_(parts),
        options_(options),
        end_(parts.clock.boot() + options.whole),
        key_(std::string(kCheckPrefix) + "{" + std::to_string(parts.random.next_u64()) + "}"),
        list_key_(key_ + ":list") {}

  awaitable<RedisFacts> run() {
    const Result<void> connected = co_await parts_.client.connected(options_.connect);
    if (!connected) {
      const std::string& cause = connected.error().cause;
      facts_.trouble = cause.empty() ? connected.error().message : cause;
      co_return std::move(facts_);
    }
    facts_.reached = true;
    co_await ask_server();
    co_await ask_clock();
    co_await try_needs();
    co_await try_channel();
    note_tracking();
    co_await time_operations();
    co_await look_at_keys();
    co_return std::move(facts_);
  }

 private:
  bool time_left() const { return parts_.clock.boot() < end_; }

  // An error of any kind is a Value of kind error: it is as good as "not told".
  awaitable<Value> ask(Command command) {
    if (!time_left()) co_return Value::error("no time was left to ask");
    command.raw().within(options_.command);
    Result<Value> reply = co_await parts_.client.run(std::move(command));
    if (reply) co_return std::move(*reply);
    const Error& error = reply.error();
    co_return Value::error(error.cause.empty() ? error.message
                                               : error.message + ": " + error.cause);
  }

  awaitable<void> ask_server() {
    const Value info = co_await ask(Command("INFO").read_only());
    if (!info.is_error()) read_info(info.text(), options_.database, facts_);
    const Value role = co_await ask(Command("ROLE").read_only());
    if (!role.is_error()) read_role(role, facts_);
    // One name each: servers before 7 take no more.
    for (const char* name : {"save", "appendonly", "stop-writes-on-bgsave-error", "protected-mode",
                             "maxclients", "timeout", "min-replicas-to-write", "bind"}) {
      const Value value = co_await ask(Command("CONFIG").arg("GET").arg(name).read_only());
      if (value.is_error()) break;
      read_config(value, facts_);
    }
    const Value clients = co_await ask(Command("CLIENT").arg("LIST").read_only());
    if (!clients.is_error()) read_client_list(clients.text(), facts_);
    co_await ask_accounts();
    if (facts_.cluster.enabled.value_or(false)) {
      const Value cluster = co_await ask(Command("CLUSTER").arg("INFO").read_only());
      if (!cluster.is_error()) read_cluster_info(cluster.text(), facts_);
    }
    const Value mark = co_await ask(Command("GET").key(kIncarnationKey).read_only());
    if (!mark.is_error() && !mark.is_null()) facts_.mark = std::string(mark.text());
  }

  awaitable<void> ask_accounts() {
    const Value name = co_await ask(Command("ACL").arg("WHOAMI").read_only());
    if (name.is_error()) co_return;
    facts_.exposure.account = std::string(name.text());
    const Value ours = co_await ask(Command("ACL").arg("GETUSER").arg(name.text()).read_only());
    if (ours.is_error()) co_return;
    read_account(ours, true, facts_);
    const Value open = co_await ask(Command("ACL").arg("GETUSER").arg("default").read_only());
    if (!open.is_error()) read_account(open, false, facts_);
  }

  // The server's clock at about the middle of a round trip. The quickest of three says most.
  awaitable<void> ask_clock() {
    std::chrono::nanoseconds quickest = std::chrono::nanoseconds::max();
    for (int i = 0; i < 3; ++i) {
      const BootTime began = parts_.clock.boot();
      const Value reply = co_await ask(Command("TIME").read_only());
      const std::chrono::nanoseconds took = parts_.clock.boot() - began;
      const auto items = reply.items();
      if (items.size() != 2 || took >= quickest) continue;
      const auto seconds = number(items[0]);
      const auto micros = number(items[1]);
      if (!seconds || !micros) continue;
      quickest = took;
      const WallTime middle = parts_.clock.wall() - std::chrono::duration_cast<Duration>(took / 2);
      facts_.clock_ahead = WallTime{*seconds * 1'000 + *micros / 1'000} - middle;
    }
  }

  static std::optional<std::int64_t> number(const Value& value) {
    if (value.kind() == wire::resp::Kind::integer) return value.as_integer();
    return parse_int(value.text());
  }

  awaitable<void> try_needs() {
    for (const Need& need : kNeeds) {
      const Value reply = co_await ask(command_of(need));
      note_denied(need.command, reply);
    }
  }

  // Nobody listens there.
  awaitable<void> try_channel() {
    const Value reply = co_await ask(Command("PUBLISH").arg(key_).arg("1"));
    facts_.denied_channels = reply.is_error() && reply.text().contains("NOPERM");
  }

  void note_tracking() {
    for (const redis::NodeStatus& node : parts_.client.status().nodes) {
      if (node.connected) facts_.tracks = node.facts.tracks;
    }
  }

  Command command_of(const Need& need) const {
    Command command(need.command);
    for (const std::string_view argument : need.arguments) {
      if (argument == "K") {
        command.key(key_);
      } else if (argument == "L") {
        command.key(list_key_);
      } else if (!argument.empty()) {
        command.arg(argument);
      }
    }
    return command;
  }

  void note_denied(std::string_view name, const Value& reply) {
    // A script is refused in words of its own: "... can't run this command or subcommand".
    const std::string_view text = reply.is_error() ? reply.text() : std::string_view();
    const bool denied = text.contains("NOPERM") || text.contains("can't run this command");
    if (!denied) return;
    if (text.contains("access") && text.contains("key")) {
      facts_.denied_keys = true;
    } else {
      deny(name);
      if (name == "EVAL") deny("EVALSHA");  // What a script is, once it is known.
    }
  }
  void deny(std::string_view name) {
    auto& denied = facts_.denied_commands;
    if (std::ranges::find(denied, name) == denied.end()) denied.emplace_back(name);
  }

  awaitable<void> time_operations() {
    const auto ping = [] { return Command("PING"); };
    const auto set = [this] {
      return Command("SET").key(key_).arg("1").arg("PX").arg(kCheckLife.count());
    };
    const auto get = [this] { return Command("GET").key(key_).read_only(); };
    const auto eval = [this] {
      const std::string life = std::to_string(kCheckLife.count());
      const std::array<std::string_view, 1> keys{key_};
      const std::array<std::string_view, 2> arguments{"1", life};
      return check_script().command(keys, arguments);
    };
    const auto del = [this] { return Command("DEL").key(key_); };
    co_await time("PING", ping);
    co_await time("SET", set);
    co_await time("GET", get);
    co_await time("EVAL", eval);
    co_await time("DEL", del);
  }

  template <class Make>
  awaitable<void> time(const char* name, Make make) {
    OperationTimes times;
    times.name = name;
    std::vector<std::chrono::nanoseconds> took;
    for (int i = 0; i < options_.rounds; ++i) {
      if (!time_left() && i > 0) break;  // What was measured says enough.
      const BootTime began = parts_.clock.boot();
      const Value reply = co_await ask(make());
      if (reply.is_error()) {
        times.error = std::string(reply.text());
        if (is_needed(name)) note_denied(name, reply);
        break;
      }
      took.push_back(parts_.clock.boot() - began);
    }
    std::ranges::sort(took);
    times.count = static_cast<int>(took.size());
    if (!took.empty()) {
      const auto rank =
          static_cast<std::size_t>(std::ceil(0.99 * static_cast<double>(took.size())));
      times.median = microseconds(took[(took.size() - 1) / 2]);
      times.p99 = microseconds(took[rank - 1]);
      times.longest = microseconds(took.back());
    }
    facts_.operations.push_back(std::move(times));
  }

  awaitable<void> look_at_keys() {
    std::string cursor = "0";
    std::int64_t looked = 0;
    std::int64_t foreign = 0;
    for (int i = 0; i < kScanRounds; ++i) {
      const Value page =
          co_await ask(Command("SCAN").arg(cursor).arg("COUNT").arg(kScanCount).read_only());
      if (page.items().size() != 2) break;
      for (const Value& key : page.items()[1].items()) {
        ++looked;
        if (!key.text().starts_with("rd:")) ++foreign;
      }
      facts_.use.keys_looked = looked;
      facts_.use.keys_foreign = foreign;
      cursor = std::string(page.items()[0].text());
      if (cursor == "0") break;
    }
  }

  const InspectParts parts_;
  const InspectOptions options_;
  const BootTime end_;
  const std::string key_;
  const std::string list_key_;
  RedisFacts facts_;
};

}  // namespace

std::vector<std::string_view> needed_commands() {
  std::vector<std::string_view> names{"EVAL", "EVALSHA"};
  for (const Need& need : kNeeds) names.push_back(need.command);
  return names;
}

awaitable<RedisFacts> inspect(InspectParts parts, InspectOptions options) {
  Inspection inspection(parts, options);
  co_return co_await inspection.run();
}

}  // namespace redoubt::shared
