#include "faces/rest/authenticator.hpp"

namespace redoubt::faces {
namespace {

enum class CredentialKind : std::uint8_t { none, session, api_key, unknown };

CredentialKind kind_of(std::string_view credential) {
  if (credential.empty()) return CredentialKind::none;
  if (credential.starts_with("rds_") || credential.starts_with("rdt_")) {
    return CredentialKind::session;
  }
  if (credential.starts_with("rdk_")) return CredentialKind::api_key;
  return CredentialKind::unknown;
}

Error unknown_credential() {
  return unauthenticated("credential_unknown",
                         "the credential is neither an API key (rdk_...) nor a session token "
                         "(rds_... or rdt_...)");
}

}  // namespace

Authenticator::Authenticator(Sessions& sessions, ApiKeys& keys)
    : sessions_(sessions),
      keys_(keys),
      anonymous_(std::make_shared<const Caller>()),
      session_caller_(std::make_shared<Caller>()) {}

Identity Authenticator::of_session(VerifiedSession verified) {
  if (session_caller_.use_count() != 1) session_caller_ = std::make_shared<Caller>();
  Caller& caller = *session_caller_;
  const Session& session = *verified.session;
  caller.kind = Caller::Kind::session;
  caller.role = Role::none;
  caller.areas = 0;
  caller.tenant = session.tenant;
  caller.principal.assign("user:").append(session.user);
  caller.session_id = session.id;
  caller.user = session.user;
  caller.by_grace = verified.by_grace;
  return Identity{.caller = session_caller_, .session = std::move(verified)};
}

std::optional<Result<Identity>> Authenticator::now(std::string_view credential) {
  switch (kind_of(credential)) {
    case CredentialKind::none:
      return Identity{.caller = anonymous_, .session = {}};
    case CredentialKind::unknown:
      return fail(unknown_credential());
    case CredentialKind::session: {
      auto verified = sessions_.authenticate_now(credential);
      if (!verified) return std::nullopt;
      if (!*verified) return fail(std::move(*verified).error());
      return of_session(std::move(**verified));
    }
    case CredentialKind::api_key: {
      auto caller = keys_.authenticate_now(credential);
      if (!caller) return std::nullopt;
      if (!*caller) return fail(std::move(*caller).error());
      return Identity{.caller = std::move(**caller), .session = {}};
    }
  }
  return std::nullopt;
}

// One coroutine for each kind, so that none has room for what another one needs.
Task<Identity> Authenticator::later(std::string credential) {
  switch (kind_of(credential)) {
    case CredentialKind::session:
      return session_later(std::move(credential));
    case CredentialKind::api_key:
      return key_later(std::move(credential));
    case CredentialKind::none:
    case CredentialKind::unknown:
      break;
  }
  return known(std::move(credential));
}

Task<Identity> Authenticator::session_later(std::string token) {
  RD_CO_TRY(verified, co_await sessions_.authenticate(std::move(token)));
  co_return of_session(std::move(verified));
}

Task<Identity> Authenticator::key_later(std::string key) {
  // Another request may have made it known meanwhile.
  if (auto known = now(key)) co_return std::move(*known);
  RD_CO_TRY(caller, co_await keys_.authenticate(std::move(key)));
  Identity identity;
  identity.caller = std::move(caller);
  co_return identity;
}

Task<Identity> Authenticator::known(std::string credential) {
  co_return *now(credential);
}

}  // namespace redoubt::faces
