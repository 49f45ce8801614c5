// From a credential to who is calling: API keys (rdk_) and session tokens (rds_, rdt_).
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/sessions.hpp>
#include <redoubt/tenants.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::faces {

struct Identity {
  std::shared_ptr<const Caller> caller;
  std::optional<VerifiedSession> session;
};

// Threads: one per worker.
class Authenticator {
 public:
  Authenticator(Sessions& sessions, ApiKeys& keys);

  // Empty when the record must be asked; then call later(). No credential is anonymous, not an
  // error. Errors: unauthenticated "session_invalid", "api_key_invalid" or "credential_unknown".
  std::optional<Result<Identity>> now(std::string_view credential);
  Task<Identity> later(std::string credential);

 private:
  Task<Identity> session_later(std::string token);
  Task<Identity> key_later(std::string key);
  Task<Identity> known(std::string credential);  // REQUIRES: now() is not empty.
  Identity of_session(VerifiedSession session);

  Sessions& sessions_;
  ApiKeys& keys_;
  std::shared_ptr<const Caller> anonymous_;
  std::shared_ptr<Caller> session_caller_;  // Reused while nobody else holds it.
};

}  // namespace redoubt::faces
