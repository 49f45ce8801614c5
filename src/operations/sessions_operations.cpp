#include "operations/sessions_operations.hpp"

#include "operations/etag.hpp"
#include "operations/sessions_replies.hpp"
#include "operations/sessions_requests.hpp"

#include <charconv>

namespace redoubt::operations {
namespace detail {
namespace {

bool reply_only(const json::value&, void*, const FieldInfo&, Path&, FieldErrors&) {
  return false;
}
bool reply_only_text(std::string_view, void*, const FieldInfo&, FieldErrors&) {
  return false;
}
void write_text(std::string& out, const void* in) {
  out += *static_cast<const std::string*>(in);
}
json::object object_text_schema(const FieldInfo&, Schemas&) {
  return {{"type", "object"}};
}

}  // namespace

constinit const TypeOps kObjectText = {.kind = Kind::json,
                                       .parse = reply_only,
                                       .parse_text = reply_only_text,
                                       .write = write_text,
                                       .omit = nullptr,
                                       .schema = object_text_schema};

}  // namespace detail

namespace {

// Tokens and who is logged in where are nobody's to cache.
void no_store(OperationOutput& out) {
  out.add_header("Cache-Control", "no-store");
}

template <class Reply>
void say_version(const Reply& reply, OperationOutput& out) {
  char etag[24] = "\"";
  char* end = std::to_chars(etag + 1, etag + sizeof etag - 1, reply.session->version).ptr;
  *end++ = '"';
  out.add_header("ETag", std::string_view(etag, end));
  no_store(out);
}

Result<SessionReply> reply_of(Result<VerifiedSession> verified) {
  if (!verified) return fail(std::move(verified).error());
  return SessionReply(*verified);
}
std::optional<Result<SessionReply>> reply_of(std::optional<Result<VerifiedSession>> verified) {
  if (!verified) return std::nullopt;
  return reply_of(std::move(*verified));
}

Error no_current_session() {
  Error error = not_found("session");
  error.message = "There is no current session: this call's credential is not a session token.";
  return error;
}

Task<IssuedSession> create(Sessions& sessions, const Context& context,
                           CreateSessionRequest request) {
  NewSession wanted;
  wanted.user = std::move(request.user);
  wanted.agent = std::move(request.agent);
  wanted.device = std::move(request.device);
  wanted.address =
      request.address.empty() ? std::string(context.client_address) : std::move(request.address);
  wanted.data = std::move(request.data.text);
  wanted.idle_ttl = request.idle_ttl;
  wanted.absolute_ttl = request.absolute_ttl;
  co_return co_await sessions.create(context, std::move(wanted));
}

Task<SessionListReply> list(Sessions& sessions, const Context& context,
                            ListSessionsRequest request) {
  const auto limit = static_cast<std::size_t>(request.limit);
  RD_CO_TRY(page, co_await sessions.list(context, std::move(request.user), limit,
                                         std::move(request.cursor)));
  SessionListReply reply;
  reply.data.reserve(page.sessions.size());
  for (SessionPtr& session : page.sessions) reply.data.emplace_back(std::move(session));
  reply.has_more = !page.next_cursor.empty();
  if (reply.has_more) reply.next_cursor = std::move(page.next_cursor);
  co_return reply;
}

// ---- By token ----

void register_create(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<CreateSessionRequest, IssuedSessionReply, IssuedSession>{
      .info = {.id = "sessions.create",
               .method = Method::post,
               .path = "/api/v1/sessions",
               .summary = "Create a session and its token",
               .doc = "Call it when a user has logged in. The token is in this reply and nowhere "
                      "else: what is kept cannot be turned back into it.",
               .area = Area::sessions,
               .access = Access::write,
               .status = 201},
      .run = [&sessions](
                 const Context& context,
                 CreateSessionRequest r) { return create(sessions, context, std::move(r)); },
      .decorate =
          [](const IssuedSessionReply& reply, OperationOutput& out) {
            out.add_header("Location", "/api/v1/sessions/" + reply.session->id);
            say_version(reply, out);
          }});
}

void register_verify(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<VerifySessionRequest, SessionReply>{
      .info = {.id = "sessions.verify",
               .method = Method::post,
               .path = "/api/v1/sessions/verify",
               .summary = "Verify a session token",
               .doc = "Slides the idle expiry. Expired, revoked, forged and unknown tokens, and "
                      "those of another tenant, are one answer: 401 `session_invalid`.",
               .area = Area::sessions,
               .access = Access::read,
               .priority = Priority::session},
      .now = [&sessions](const Context& context,
                         const VerifySessionRequest& r) -> std::optional<Result<SessionReply>> {
        return reply_of(sessions.verify_now(context, r.token));
      },
      .run = [&sessions](const Context& context, VerifySessionRequest r) -> Task<SessionReply> {
        co_return reply_of(co_await sessions.verify(context, std::move(r.token)));
      },
      .decorate = say_version<SessionReply>});
}

// ---- The session of the credential itself ----

Result<SessionReply> current(const Context& context) {
  if (context.session == nullptr) return fail(no_current_session());
  return SessionReply(*context.session);
}

void register_current(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<NoSessionRequest, SessionReply>{
      .info = {.id = "sessions.current",
               .method = Method::get,
               .path = "/api/v1/sessions/current",
               .summary = "Read the session of the token that calls",
               .area = Area::sessions,
               .access = Access::read,
               .session_may = true,
               .priority = Priority::session},
      .now = [](const Context& context, const NoSessionRequest&)
          -> std::optional<Result<SessionReply>> { return current(context); },
      .run = [](const Context& context, NoSessionRequest) -> Task<SessionReply> {
        co_return current(context);
      },
      .decorate = say_version<SessionReply>});
  registry.add(OperationSpec<LogoutRequest, NoReply>{
      .info = {.id = "sessions.logout",
               .method = Method::del,
               .path = "/api/v1/sessions/current",
               .summary = "End the session of the token that calls",
               .area = Area::sessions,
               .access = Access::write,
               .session_may = true,
               .priority = Priority::revocation},
      .run = [&sessions](const Context& context, LogoutRequest) -> Task<NoReply> {
        if (context.session == nullptr) co_return fail(no_current_session());
        std::string id = context.session->session->id;
        RD_CO_CHECK(co_await sessions.revoke(context, std::move(id)));
        co_return NoReply{};
      },
      .decorate = [](const NoReply&, OperationOutput& out) { no_store(out); }});
}

// ---- By id ----

void register_read_and_update(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<GetSessionRequest, SessionReply>{
      .info = {.id = "sessions.get",
               .method = Method::get,
               .path = "/api/v1/sessions/{id}",
               .summary = "Read a session",
               .doc = "304 when `If-None-Match` has the ETag of its version: the data is the same, "
                      "the times of its last use and expiry may not be.",
               .area = Area::sessions,
               .access = Access::read},
      .run = [&sessions](const Context& context, GetSessionRequest r) -> Task<SessionReply> {
        RD_CO_TRY(found, co_await sessions.get(context, std::move(r.id)));
        SessionReply reply(found);
        const std::string version = std::to_string(found.session->version);
        reply.not_modified = !r.if_none_match.empty() && matches_etag(r.if_none_match, version);
        co_return reply;
      },
      .decorate =
          [](const SessionReply& reply, OperationOutput& out) {
            say_version(reply, out);
            if (!reply.not_modified) return;
            out.status = 304;
            out.body.clear();
          }});
  registry.add(OperationSpec<UpdateSessionRequest, SessionReply, SessionPtr>{
      .info = {.id = "sessions.update",
               .method = Method::patch,
               .path = "/api/v1/sessions/{id}",
               .summary = "Merge a patch into the data of a session",
               .doc = "Send the ETag of what you read as `If-Match`: when somebody was faster, the "
                      "answer is 412 `version_mismatch` and nothing has changed.",
               .area = Area::sessions,
               .access = Access::write},
      .run =
          [&sessions](const Context& context, UpdateSessionRequest r) {
            return sessions.update(context, std::move(r.id), std::move(r.data.text), r.if_match);
          },
      .decorate = say_version<SessionReply>});
}

void register_lifetime(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<ExtendSessionRequest, SessionReply, VerifiedSession>{
      .info = {.id = "sessions.extend",
               .method = Method::post,
               .path = "/api/v1/sessions/{id}/extend",
               .summary = "Set the idle lifetime of a session, counted from now",
               .area = Area::sessions,
               .access = Access::write,
               .priority = Priority::lease},
      .run =
          [&sessions](const Context& context, ExtendSessionRequest r) {
            return sessions.extend(context, std::move(r.id), r.idle_ttl);
          },
      .decorate = say_version<SessionReply>});
  registry.add(OperationSpec<EndSessionRequest, IssuedSessionReply, IssuedSession>{
      .info = {.id = "sessions.rotate",
               .method = Method::post,
               .path = "/api/v1/sessions/{id}/rotate",
               .summary = "Replace a session by one with a new token",
               .doc = "Call it when the user's privileges change. The old token is refused from "
                      "the moment of this reply.",
               .area = Area::sessions,
               .access = Access::write},
      .run = [&sessions](const Context& context,
                         EndSessionRequest r) { return sessions.rotate(context, std::move(r.id)); },
      .decorate = say_version<IssuedSessionReply>});
  registry.add(OperationSpec<EndSessionRequest, NoReply>{
      .info = {.id = "sessions.revoke",
               .method = Method::del,
               .path = "/api/v1/sessions/{id}",
               .summary = "End a session",
               .area = Area::sessions,
               .access = Access::write,
               .priority = Priority::revocation},
      .run = [&sessions](const Context& context, EndSessionRequest r) -> Task<NoReply> {
        RD_CO_CHECK(co_await sessions.revoke(context, std::move(r.id)));
        co_return NoReply{};
      },
      .decorate = [](const NoReply&, OperationOutput& out) { no_store(out); }});
}

// ---- By user ----

void register_users(Registry& registry, Sessions& sessions) {
  registry.add(OperationSpec<ListSessionsRequest, SessionListReply>{
      .info = {.id = "sessions.list",
               .method = Method::get,
               .path = "/api/v1/users/{user}/sessions",
               .summary = "List the live sessions of a user",
               .area = Area::sessions,
               .access = Access::read,
               .priority = Priority::listing},
      .run = [&sessions](const Context& context,
                         ListSessionsRequest r) { return list(sessions, context, std::move(r)); },
      .decorate = [](const SessionListReply&, OperationOutput& out) { no_store(out); }});
  registry.add(OperationSpec<RevokeAllRequest, RevokedSessionsReply, std::int64_t>{
      .info = {.id = "sessions.revoke_all",
               .method = Method::del,
               .path = "/api/v1/users/{user}/sessions",
               .summary = "End all sessions of a user, or all but one",
               .area = Area::sessions,
               .access = Access::write,
               .priority = Priority::revocation},
      .run =
          [&sessions](const Context& context, RevokeAllRequest r) {
            return sessions.revoke_all(context, std::move(r.user), std::move(r.except));
          },
      .decorate = [](const RevokedSessionsReply&, OperationOutput& out) { no_store(out); },
      .reply = [](std::int64_t revoked) { return RevokedSessionsReply{revoked}; }});
}

}  // namespace

void register_sessions(Registry& registry, Sessions& sessions) {
  register_create(registry, sessions);
  register_verify(registry, sessions);
  register_current(registry, sessions);
  register_read_and_update(registry, sessions);
  register_lifetime(registry, sessions);
  register_users(registry, sessions);
}

}  // namespace redoubt::operations
