// What the operations of sessions take.
#pragma once

#include "operations/operation.hpp"

#include <optional>
#include <string>

namespace redoubt::operations {

inline constexpr Duration kSessionLifetimeMin{1'000};
inline constexpr Duration kSessionLifetimeMax{365LL * 86'400'000};

struct CreateSessionRequest {
  std::string user;
  std::string agent;
  std::string device;
  std::string address;
  Json data{"{}"};
  std::optional<Duration> idle_ttl;
  std::optional<Duration> absolute_ttl;
  static constexpr std::string_view schema_name = "CreateSession";
  static constexpr auto fields = describe(
      field<&CreateSessionRequest::user>("user", "Whose session it is.", required, length(1, 256),
                                         example("user:42")),
      field<&CreateSessionRequest::agent>("agent", "The agent it acts through.", length(0, 256)),
      field<&CreateSessionRequest::device>("device", "What the client calls itself.",
                                           length(0, 256)),
      field<&CreateSessionRequest::address>(
          "address", "The end client's address. Without it, the address of this call.",
          length(0, 256)),
      field<&CreateSessionRequest::data>("data", "A JSON object of at most 64 KiB, kept sealed."),
      field<&CreateSessionRequest::idle_ttl>("idle_ttl",
                                             "How long it lives without use; else SESSION_TTL.",
                                             between(kSessionLifetimeMin, kSessionLifetimeMax)),
      field<&CreateSessionRequest::absolute_ttl>(
          "absolute_ttl", "How long it lives at most, however often it is used.",
          between(kSessionLifetimeMin, kSessionLifetimeMax)));
};

struct VerifySessionRequest {
  std::string token;
  static constexpr std::string_view schema_name = "VerifySession";
  static constexpr auto fields = describe(field<&VerifySessionRequest::token>(
      "token", "The token that creating the session returned.", required, secret, length(1, 8192)));
};

// One that ends: by its id, or that of the credential itself.
struct EndSessionRequest {
  std::string id;
  Wait wait = Wait::self;
  static constexpr std::string_view schema_name = "EndSession";
  static constexpr auto fields =
      describe(field<&EndSessionRequest::id>("id", "Of the session: ses_ and 22 digits.", in_path),
               wait_field<&EndSessionRequest::wait>());
};

struct LogoutRequest {
  Wait wait = Wait::self;
  static constexpr std::string_view schema_name = "Logout";
  static constexpr auto fields = describe(wait_field<&LogoutRequest::wait>());
};

struct NoSessionRequest {
  static constexpr std::string_view schema_name = "NoSessionRequest";
  static constexpr std::array<FieldInfo, 0> fields{};
};

struct GetSessionRequest {
  std::string id;
  std::string if_none_match;
  static constexpr std::string_view schema_name = "GetSession";
  static constexpr auto fields =
      describe(field<&GetSessionRequest::id>("id", "Of the session: ses_ and 22 digits.", in_path),
               field<&GetSessionRequest::if_none_match>(
                   "if_none_match", "ETags the client has: 304 for them.",
                   in_header("If-None-Match"), length(0, 4096)));
};

struct UpdateSessionRequest {
  std::string id;
  std::optional<std::int64_t> if_match;
  Json data;
  static constexpr std::string_view schema_name = "UpdateSession";
  static constexpr auto fields = describe(
      field<&UpdateSessionRequest::id>("id", "Of the session: ses_ and 22 digits.", in_path),
      field<&UpdateSessionRequest::if_match>(
          "if_match", "Only if this is still the version of the session.", in_header("If-Match")),
      field<&UpdateSessionRequest::data>(
          "data", "Merged into the data (RFC 7396): null removes a member.", required));
};

struct ExtendSessionRequest {
  std::string id;
  Duration idle_ttl{0};
  static constexpr std::string_view schema_name = "ExtendSession";
  static constexpr auto fields = describe(
      field<&ExtendSessionRequest::id>("id", "Of the session: ses_ and 22 digits.", in_path),
      field<&ExtendSessionRequest::idle_ttl>(
          "idle_ttl", "How long it lives without use, from now on.", required,
          between(kSessionLifetimeMin, kSessionLifetimeMax)));
};

struct ListSessionsRequest {
  std::string user;
  std::int64_t limit = 50;
  std::string cursor;
  static constexpr std::string_view schema_name = "ListSessions";
  static constexpr auto fields = describe(
      field<&ListSessionsRequest::user>("user", "Whose sessions.", in_path, length(1, 256)),
      field<&ListSessionsRequest::limit>("limit", "How many a page holds.", in_query,
                                         between(1, 1000)),
      field<&ListSessionsRequest::cursor>("cursor", "The next_cursor of the page before.", in_query,
                                          length(0, 64)));
};

struct RevokeAllRequest {
  std::string user;
  std::string except;
  Wait wait = Wait::self;
  static constexpr std::string_view schema_name = "RevokeAllSessions";
  static constexpr auto fields =
      describe(field<&RevokeAllRequest::user>("user", "Whose sessions.", in_path, length(1, 256)),
               field<&RevokeAllRequest::except>("except", "The id of a session to keep.", in_query,
                                                length(0, 64)),
               wait_field<&RevokeAllRequest::wait>());
};

}  // namespace redoubt::operations
