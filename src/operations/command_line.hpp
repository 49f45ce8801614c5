// Operations from the command line: `redoubt call locks.acquire name=deploy ttl=30s` is the HTTP
// request that it stands for, and what help says is what the declarations say.
//
// Values have the type of their field. Lists are a,b,c or JSON; structs, maps and Json are JSON;
// what is JSON or a raw body may also be @file, read by the caller ("-" is up to it).
#pragma once

#include "operations/operation.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::operations {

struct CommandCall {
  Method method = Method::get;
  std::string target;  // Path and query, encoded.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string content_type;  // "" without a body.
};

using ReadFile = std::function<Result<std::string>(std::string_view path)>;

// Errors: not_found with the nearest operation.
Result<const Operation*> find_operation(const Registry& registry, std::string_view id);

// Errors: invalid_argument naming every argument that is wrong, unknown, repeated or missing;
// what `read_file` returns. Bounds are left to the server.
Result<CommandCall> make_call(const Operation& operation,
                              std::span<const std::string_view> arguments,
                              const ReadFile& read_file);

// The call is carried out once, however often it is sent with that key; `key` is what the header
// has: idempotency_key.hpp. Errors: invalid_argument that names the option --idempotency-key.
Result<void> set_idempotency_key(CommandCall& call, std::string_view key);

std::string operation_help(const Operation& operation);
std::string operation_list(const Registry& registry);

}  // namespace redoubt::operations
