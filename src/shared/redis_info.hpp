// The texts and lists in which Redis tells of itself, read into facts. Pure functions: what is
// missing or makes no sense stays empty.
#pragma once

#include "shared/redis_facts.hpp"
#include "wire/resp.hpp"

#include <string_view>

namespace redoubt::shared {

// INFO, of any sections. `database` is the number of ours, for its count of keys.
void read_info(std::string_view text, int database, RedisFacts& facts);

// CLUSTER INFO.
void read_cluster_info(std::string_view text, RedisFacts& facts);

// CLIENT LIST: counts those of this program; of the others nothing is kept.
void read_client_list(std::string_view text, RedisFacts& facts);

// CONFIG GET of several names, in RESP2's or RESP3's form.
void read_config(const wire::resp::Value& reply, RedisFacts& facts);

// ACL GETUSER. `ours`: of the account we use; otherwise of the user "default". Its passwords are in
// the reply and are not looked at.
void read_account(const wire::resp::Value& reply, bool ours, RedisFacts& facts);

// ROLE.
void read_role(const wire::resp::Value& reply, RedisFacts& facts);

}  // namespace redoubt::shared
