#include "faces/upstash/rules.hpp"

#include "base/text.hpp"
#include "wire/upstash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::faces {
namespace {

using wire::CommandFlag;
using wire::KeyRule;
using wire::RedisCommand;
using wire::resp::Value;
using Arguments = std::span<const std::string_view>;
using Verdict = std::expected<void, std::string>;

std::unexpected<std::string> refused(std::string text) {
  return std::unexpected(std::move(text));
}

// A name as it may stand in an error line.
std::string quoted_name(std::string_view name) {
  std::string text = to_lower(name.substr(0, 64));
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~' || c == '\''; }, '?');
  return text;
}

std::string tenant_prefix(std::string_view tenant) {
  return fmt::format("tenant:{}:", tenant);
}

Value stripped(Value value, std::string_view prefix) {
  if (!value.is_text() || !value.text().starts_with(prefix)) return value;
  return Value::bulk(value.take_text().substr(prefix.size()));
}

Value all_stripped(Value value, std::string_view prefix) {
  std::vector<Value> items = value.take_items();
  for (Value& item : items) item = stripped(std::move(item), prefix);
  return Value::array(std::move(items));
}

// The item at `index` of an array, remade.
template <class Remake>
Value with_item(Value value, std::size_t index, Remake remake) {
  if (value.items().size() <= index) return value;
  std::vector<Value> items = value.take_items();
  items[index] = remake(std::move(items[index]));
  return Value::array(std::move(items));
}

}  // namespace

std::string UpstashGatekeeper::not_available(std::string_view name, std::string_view why) {
  return fmt::format("ERR Command is not available: '{}'. {}", quoted_name(name), why);
}

std::string UpstashGatekeeper::not_permitted(std::string_view name) {
  return fmt::format("NOPERM this user has no permissions to run the '{}' command",
                     quoted_name(name));
}

bool UpstashGatekeeper::is_reserved(std::string_view key) const {
  return !rules_.reserved_prefix.empty() && key.starts_with(rules_.reserved_prefix);
}

std::string UpstashGatekeeper::prefix_of(const UpstashGrant& grant) const {
  return rules_.tenant_prefix ? tenant_prefix(grant.tenant) : std::string();
}

Verdict UpstashGatekeeper::judge(const RedisCommand* known, Arguments arguments,
                                 const UpstashGrant& grant) const {
  const std::string_view name = arguments.front();
  if (known == nullptr) return judge_unknown(name, grant);
  if (known->is(CommandFlag::connection)) {
    return refused(not_available(name, "It belongs to a connection, and a request has none."));
  }
  if (wire::would_block(*known, arguments)) {
    return refused(not_available(name, "It waits, and a request over REST does not."));
  }
  if (known->is(CommandFlag::operators) && grant.access != UpstashAccess::admin) {
    return refused(not_permitted(name));
  }
  const bool for_readers = known->is(CommandFlag::read) && !known->is(CommandFlag::enumerates) &&
                           !known->is(CommandFlag::script);
  if (grant.access == UpstashAccess::read_only && !for_readers) {
    return refused(not_permitted(name));
  }
  return rules_.tenant_prefix ? judge_for_tenant(*known, name) : Verdict{};
}

// Which keys it names cannot be told, so that none of them is guarded.
Verdict UpstashGatekeeper::judge_unknown(std::string_view name, const UpstashGrant& grant) const {
  if (rules_.tenant_prefix) {
    return refused(not_available(name, "Where its keys are is not known here."));
  }
  if (grant.access != UpstashAccess::admin) {
    return refused(not_permitted(name) + ": it is not known here, and only an admin may send such");
  }
  return {};
}

Verdict UpstashGatekeeper::judge_for_tenant(const RedisCommand& known,
                                            std::string_view name) const {
  if (known.is(CommandFlag::script) && !rules_.tenant_scripts) {
    return refused(not_available(name, "A script could reach the keys of other tenants."));
  }
  const bool enumerates_others =
      known.is(CommandFlag::enumerates) && known.name != "SCAN" && known.name != "KEYS";
  if (enumerates_others) {
    return refused(not_available(name, "It would name what is other tenants'."));
  }
  return {};
}

std::expected<UpstashGatekeeper::Admitted, std::string> UpstashGatekeeper::admit(
    Arguments arguments, const UpstashGrant& grant) {
  const RedisCommand* known = wire::find_redis_command(arguments.front());
  if (auto allowed = judge(known, arguments, grant); !allowed) return refused(allowed.error());
  positions_.clear();
  if (known != nullptr && !wire::key_positions(*known, arguments, positions_)) {
    // Redis refuses it too; whose keys it names cannot be told.
    positions_.clear();
    if (rules_.tenant_prefix) return refused("ERR syntax error");
  }
  const bool guarded = !rules_.tenant_prefix && grant.access != UpstashAccess::admin;
  const auto reserved = [&](std::size_t i) { return is_reserved(arguments[i]); };
  if (guarded && std::ranges::any_of(positions_, reserved)) {
    return refused(
        "NOPERM this user has no permissions to access one of the keys used as arguments");
  }
  const std::string prefix = prefix_of(grant);
  redis::Command command = build(arguments, known, prefix);
  command.raw();
  if (known != nullptr && known->is(CommandFlag::read)) command.read_only();
  return Admitted{std::move(command), known};
}

redis::Command UpstashGatekeeper::build(Arguments arguments, const RedisCommand* known,
                                        std::string_view prefix) {
  const bool enumerates = known != nullptr && known->is(CommandFlag::enumerates);
  if (!prefix.empty() && enumerates) {
    return build_enumeration(arguments, known->name == "SCAN", prefix);
  }
  const bool channels = known != nullptr && known->is(CommandFlag::channels);
  redis::Command command(arguments.front());
  auto next = positions_.begin();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (next == positions_.end() || *next != i) {
      command.arg(arguments[i]);
      continue;
    }
    ++next;
    std::string_view key = arguments[i];
    if (!prefix.empty()) key = key_.assign(prefix).append(key);
    if (channels) {
      command.arg(key);
    } else {
      command.key(key);
    }
  }
  return command;
}

// KEYS and SCAN see the tenant's keys only. A prefix has no character that a pattern reads
// otherwise.
redis::Command UpstashGatekeeper::build_enumeration(Arguments arguments, bool scan,
                                                    std::string_view prefix) const {
  redis::Command command(arguments.front());
  const auto with_prefix = [&](std::string_view pattern) {
    return std::string(prefix) + std::string(pattern);
  };
  bool matched = false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const bool pattern = scan ? i > 2 && iequals(arguments[i - 1], "match") : i == 1;
    if (pattern) {
      command.arg(with_prefix(arguments[i]));
      matched = true;
    } else {
      command.arg(arguments[i]);
    }
  }
  if (scan && !matched) command.arg("MATCH").arg(with_prefix("*"));
  return command;
}

Value UpstashGatekeeper::reply(Value value, const RedisCommand* known,
                               const UpstashGrant& grant) const {
  if (known == nullptr || !value.is_aggregate()) return value;
  const bool streams = known->rule == KeyRule::streams;
  if (known->is(CommandFlag::pairs) || streams) {
    value = wire::upstash::as_resp2(std::move(value), !streams, streams);
  }
  if (!rules_.tenant_prefix) return value;
  const std::string prefix = prefix_of(grant);
  const auto strip = [&prefix](Value item) { return stripped(std::move(item), prefix); };
  if (known->name == "KEYS") return all_stripped(std::move(value), prefix);
  if (known->name == "SCAN") {
    return with_item(std::move(value), 1,
                     [&prefix](Value item) { return all_stripped(std::move(item), prefix); });
  }
  if (known->name == "LMPOP" || known->name == "ZMPOP") {
    return with_item(std::move(value), 0, strip);
  }
  if (!streams) return value;
  std::vector<Value> items = value.take_items();
  for (Value& item : items) item = with_item(std::move(item), 0, strip);
  return Value::array(std::move(items));
}

std::expected<std::string, std::string> UpstashGatekeeper::channel(
    std::string_view name, const UpstashGrant& grant) const {
  if (rules_.tenant_prefix) return prefix_of(grant) + std::string(name);
  if (is_reserved(name) && grant.access != UpstashAccess::admin) {
    return refused(
        "NOPERM this user has no permissions to access one of the channels used as "
        "arguments");
  }
  return std::string(name);
}

bool UpstashGatekeeper::may_monitor(const UpstashGrant& grant) const {
  return grant.access == UpstashAccess::admin;
}

bool UpstashGatekeeper::may_hear(std::string_view channel, const UpstashGrant& grant) const {
  if (rules_.tenant_prefix) return channel.starts_with(prefix_of(grant));
  return grant.access == UpstashAccess::admin || !is_reserved(channel);
}

std::string_view UpstashGatekeeper::shown(std::string_view name, const UpstashGrant& grant) const {
  if (!rules_.tenant_prefix) return name;
  const std::string prefix = prefix_of(grant);
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  return name;
}

}  // namespace redoubt::faces
