// The commands beside `serve`. Each returns the exit status: 0 fine, 1 failed, 2 usage, 3 degraded,
// 78 configuration.
#pragma once

#include "config/load.hpp"

#include <optional>
#include <string>
#include <vector>

namespace redoubt::app {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDegraded = 3;
inline constexpr int kExitConfig = 78;  // EX_CONFIG of sysexits.h

// How the command line reaches a running server.
struct ClientOptions {
  std::string url;      // --url, REDOUBT_URL, or where the configuration listens.
  std::string api_key;  // REDOUBT_API_KEY or REDOUBT_API_KEY_FILE; never a flag: process lists.
  std::string ca_file;  // --ca-file, for https.
};

// redoubt call
struct CallRequest {
  std::string operation;
  std::vector<std::string> arguments = {};          // name=value
  std::optional<std::string> idempotency_key = {};  // As the header has it.
  bool describe = false;  // Says what it takes and gives; nothing is sent.
};

int print_config(const config::Loaded& loaded);
int print_configuration_reference();
int print_openapi();
int list_operations();
int call_operation(const ClientOptions& client, const CallRequest& request);
int healthcheck(const ClientOptions& client);
int new_admin_key(const config::Config& config);

}  // namespace redoubt::app
