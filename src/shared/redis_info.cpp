#include "shared/redis_info.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace redoubt::shared {
namespace {

using wire::resp::Value;

constexpr std::string_view kClientName = "redoubt";

using Fields = std::map<std::string_view, std::string_view>;

Fields fields_of(std::string_view text) {
  Fields fields;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields.emplace(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return fields;
}

std::optional<std::string_view> find(const Fields& fields, std::string_view name) {
  const auto it = fields.find(name);
  if (it == fields.end()) return std::nullopt;
  return it->second;
}

// Leaves what is known as it is when the field is not there.
void put(const Fields& fields, std::string_view name, std::optional<std::string>& out) {
  if (const auto text = find(fields, name)) out = std::string(*text);
}

void put(const Fields& fields, std::string_view name, std::optional<std::int64_t>& out) {
  if (const auto text = find(fields, name)) {
    if (const auto number = parse_int(*text)) out = *number;
  }
}

void put(const Fields& fields, std::string_view name, std::optional<double>& out) {
  if (const auto text = find(fields, name)) {
    double number = 0;
    const auto read = std::from_chars(text->data(), text->data() + text->size(), number);
    if (read.ec == std::errc{}) out = number;
  }
}

void put(const Fields& fields, std::string_view name, std::string_view yes,
         std::optional<bool>& out) {
  if (const auto text = find(fields, name)) out = *text == yes;
}

// "name=value,name=value"
std::optional<std::string_view> part_of(std::string_view list, std::string_view name) {
  for (const std::string_view pair : split(list, ',')) {
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

void read_replicas(const Fields& fields, RedisReplicationFacts& out) {
  put(fields, "connected_slaves", out.replicas);
  if (!out.replicas) return;
  out.replicas_offline = 0;
  for (const auto& [name, value] : fields) {
    const bool numbered =
        name.starts_with("slave") && name.size() > 5 &&
        std::ranges::all_of(name.substr(5), [](char c) { return c >= '0' && c <= '9'; });
    if (!numbered) continue;
    if (part_of(value, "state") != "online") ++*out.replicas_offline;
    if (const auto lag = part_of(value, "lag").and_then(parse_int)) {
      out.worst_lag_seconds = std::max(out.worst_lag_seconds.value_or(0), *lag);
    }
  }
}

void read_keyspace(const Fields& fields, int database, RedisFacts& facts) {
  // A database without keys is not listed; that the section is there, another field tells.
  if (!facts.use.keys && find(fields, "keyspace_hits")) facts.use.keys = 0;
  const std::string name = "db" + std::to_string(database);
  if (const auto list = find(fields, name)) {
    if (const auto keys = part_of(*list, "keys").and_then(parse_int)) facts.use.keys = *keys;
  }
}

bool is_loopback(std::string_view address) {
  if (address.starts_with('-')) address.remove_prefix(1);  // "-::1": if there is such a one.
  return address == "::1" || address == "localhost" || address.starts_with("127.");
}

// CONFIG's answer as pairs, whatever protocol it came by.
std::map<std::string_view, std::string_view> pairs_of(const Value& reply) {
  std::map<std::string_view, std::string_view> pairs;
  const auto items = reply.items();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    pairs.emplace(items[i].text(), items[i + 1].text());
  }
  return pairs;
}

const Value* member(const Value& reply, std::string_view name) {
  const auto items = reply.items();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text() == name) return &items[i + 1];
  }
  return nullptr;
}

bool has_flag(const Value& account, std::string_view flag) {
  const Value* const flags = member(account, "flags");
  if (flags == nullptr) return false;
  return std::ranges::any_of(flags->items(),
                             [&](const Value& item) { return item.text() == flag; });
}

// Redis 6 tells by a flag; 7 by the rules themselves, as a text.
bool all_commands(const Value& account) {
  if (has_flag(account, "allcommands")) return true;
  const Value* const commands = member(account, "commands");
  return commands != nullptr && commands->text() == "+@all";
}

bool all_keys(const Value& account) {
  if (has_flag(account, "allkeys")) return true;
  const Value* const keys = member(account, "keys");
  return keys != nullptr && keys->text() == "~*";
}

}  // namespace

const OperationTimes* RedisFacts::operation(std::string_view name) const {
  const auto it = std::ranges::find(operations, name, &OperationTimes::name);
  return it == operations.end() ? nullptr : &*it;
}

void read_info(std::string_view text, int database, RedisFacts& facts) {
  const Fields fields = fields_of(text);
  if (find(fields, "redis_version")) facts.server.product = "redis";
  put(fields, "redis_version", facts.server.version);
  if (find(fields, "valkey_version")) facts.server.product = "valkey";
  put(fields, "valkey_version", facts.server.version);
  put(fields, "redis_mode", facts.server.mode);
  put(fields, "server_mode", facts.server.mode);
  put(fields, "role", facts.server.role);
  put(fields, "uptime_in_seconds", facts.server.uptime_seconds);
  put(fields, "loading", "1", facts.server.loading);

  put(fields, "used_memory", facts.memory.used_bytes);
  put(fields, "maxmemory", facts.memory.max_bytes);
  put(fields, "total_system_memory", facts.memory.machine_bytes);
  put(fields, "mem_fragmentation_ratio", facts.memory.fragmentation);
  put(fields, "maxmemory_policy", facts.memory.policy);

  put(fields, "connected_clients", facts.clients.connected);
  put(fields, "maxclients", facts.clients.connected_max);
  put(fields, "blocked_clients", facts.clients.blocked);
  put(fields, "rejected_connections", facts.clients.rejected);

  put(fields, "keyspace_hits", facts.use.hits);
  put(fields, "keyspace_misses", facts.use.misses);
  put(fields, "evicted_keys", facts.use.evicted_keys);
  put(fields, "expired_keys", facts.use.expired_keys);
  put(fields, "instantaneous_ops_per_sec", facts.use.operations_per_second);
  read_keyspace(fields, database, facts);

  put(fields, "rdb_last_bgsave_status", "ok", facts.persistence.last_save_good);
  put(fields, "aof_enabled", "1", facts.persistence.append_only);
  put(fields, "aof_last_write_status", "ok", facts.persistence.last_append_good);

  read_replicas(fields, facts.replication);
  put(fields, "master_link_status", "up", facts.replication.master_link_up);
  put(fields, "cluster_enabled", "1", facts.cluster.enabled);
}

void read_cluster_info(std::string_view text, RedisFacts& facts) {
  const Fields fields = fields_of(text);
  put(fields, "cluster_state", "ok", facts.cluster.good);
  put(fields, "cluster_slots_assigned", facts.cluster.slots_assigned);
  std::optional<std::int64_t> suspected;
  std::optional<std::int64_t> failed;
  put(fields, "cluster_slots_pfail", suspected);
  put(fields, "cluster_slots_fail", failed);
  if (suspected || failed) facts.cluster.slots_failing = suspected.value_or(0) + failed.value_or(0);
}

void read_client_list(std::string_view text, RedisFacts& facts) {
  std::int64_t ours = 0;
  for (const std::string_view line : split(text, '\n')) {
    for (const std::string_view pair : split(line, ' ')) {
      if (pair.starts_with("name=") && pair.substr(5).starts_with(kClientName)) ++ours;
    }
  }
  facts.clients.ours = ours;
}

void read_config(const Value& reply, RedisFacts& facts) {
  const auto pairs = pairs_of(reply);
  for (const auto& [name, value] : pairs) {
    if (name == "save") facts.persistence.snapshots = !value.empty();
    if (name == "appendonly") facts.persistence.append_only = value == "yes";
    if (name == "stop-writes-on-bgsave-error") {
      facts.persistence.stops_writes_on_save_error = value == "yes";
    }
    if (name == "protected-mode") facts.exposure.protected_mode = value == "yes";
    if (name == "maxclients") facts.clients.connected_max = parse_int(value);
    if (name == "timeout") facts.clients.idle_timeout_seconds = parse_int(value);
    if (name == "min-replicas-to-write") {
      facts.replication.replicas_to_write_min = parse_int(value);
    }
    if (name == "bind") {
      const auto addresses = split(value, ' ');
      facts.exposure.only_loopback = !value.empty() && std::ranges::all_of(addresses, is_loopback);
    }
  }
}

void read_account(const Value& reply, bool ours, RedisFacts& facts) {
  if (reply.items().empty()) return;
  if (ours) {
    facts.exposure.account_all_rights = all_commands(reply) && all_keys(reply);
  } else {
    facts.exposure.default_no_password = has_flag(reply, "nopass") && has_flag(reply, "on");
  }
}

void read_role(const Value& reply, RedisFacts& facts) {
  const auto items = reply.items();
  if (items.empty()) return;
  facts.server.role = std::string(items[0].text());
  if (items[0].text() == "slave" && items.size() > 3) {
    facts.replication.master_link_up = items[3].text() == "connected";
  }
}

}  // namespace redoubt::shared
