// Who may send what over the Upstash protocol: the tokens of the configuration, and Redoubt's own
// API keys.
//
//   credential                             access      tenant
//   a token of REDOUBT_UPSTASH_TOKENS      as written  the home tenant
//   an API key, read_only, scope redis     read_only   its own
//   an API key, service, scope redis       read_write  its own
//   an admin's API key                     read_write  its own
//   the same, of the home tenant           admin       the home tenant
//
// Session tokens have no access. Without a prefix per tenant all keys are everybody's, so then only
// the home tenant's credentials are good.
//
// Threads: one per worker.
#pragma once

#include <redoubt/result.hpp>
#include <redoubt/secret.hpp>
#include <redoubt/tenants.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

enum class UpstashAccess : std::uint8_t { read_only, read_write, admin };

struct UpstashToken {
  Secret token;
  UpstashAccess access = UpstashAccess::read_write;
};

struct UpstashGrant {
  UpstashAccess access = UpstashAccess::read_only;
  std::string tenant;
};

class UpstashTokens {
 public:
  UpstashTokens(ApiKeys& keys, std::vector<UpstashToken> tokens, bool all_tenants);

  // Empty when the record must be asked; then call later().
  // Errors: unauthenticated for a credential that is none; permission_denied for one that is good
  // and has no access here; unavailable.
  std::optional<Result<UpstashGrant>> now(std::string_view credential);
  Task<UpstashGrant> later(std::string credential);

 private:
  std::optional<UpstashGrant> of_token(std::string_view credential) const;
  Result<UpstashGrant> of_key(const Caller& caller) const;

  ApiKeys& keys_;
  std::vector<UpstashToken> tokens_;
  bool all_tenants_;
};

}  // namespace redoubt::faces
