#include "faces/upstash/access.hpp"

#include "base/bytes.hpp"
#include "base/crypto.hpp"

namespace redoubt::faces {
namespace {

Error no_access(std::string why) {
  return Error(Errc::permission_denied, "scope_missing", std::move(why));
}

Error unknown() {
  return unauthenticated("credential_unknown", "an API key or a token is needed here");
}

}  // namespace

UpstashTokens::UpstashTokens(ApiKeys& keys, std::vector<UpstashToken> tokens, bool all_tenants)
    : keys_(keys), tokens_(std::move(tokens)), all_tenants_(all_tenants) {}

// Compares with all of them, so that time does not tell which one was nearly right.
std::optional<UpstashGrant> UpstashTokens::of_token(std::string_view credential) const {
  const UpstashToken* found = nullptr;
  for (const UpstashToken& known : tokens_) {
    if (constant_time_equal(as_bytes(known.token.reveal()), as_bytes(credential))) found = &known;
  }
  if (found == nullptr) return std::nullopt;
  return UpstashGrant{.access = found->access, .tenant = std::string(kHomeTenant)};
}

Result<UpstashGrant> UpstashTokens::of_key(const Caller& caller) const {
  const bool admin = caller.role == Role::admin;
  if (!admin && (caller.areas & static_cast<AreaSet>(Area::redis)) == 0) {
    return fail(no_access("the API key lacks the scope redis"));
  }
  const bool home = caller.tenant == kHomeTenant;
  if (!home && !all_tenants_) {
    return fail(no_access("without a prefix per tenant, only keys of the home tenant have access"));
  }
  UpstashGrant grant{.access = UpstashAccess::read_write, .tenant = caller.tenant};
  if (caller.role == Role::read_only) grant.access = UpstashAccess::read_only;
  if (admin && home) grant.access = UpstashAccess::admin;
  return grant;
}

std::optional<Result<UpstashGrant>> UpstashTokens::now(std::string_view credential) {
  if (auto grant = of_token(credential)) return Result<UpstashGrant>(*std::move(grant));
  if (!credential.starts_with("rdk_")) return fail(unknown());
  auto caller = keys_.authenticate_now(credential);
  if (!caller) return std::nullopt;
  if (!*caller) return fail(std::move(*caller).error());
  return of_key(***caller);
}

Task<UpstashGrant> UpstashTokens::later(std::string credential) {
  RD_CO_TRY(caller, co_await keys_.authenticate(std::move(credential)));
  co_return of_key(*caller);
}

}  // namespace redoubt::faces
