// What a session looks like in a reply. Verifying is on the path of every request, so a reply
// copies nothing: its fields reach through the shared Session and are written from there.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/sessions.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::operations {

struct SessionReply {
  SessionPtr session;
  WallTime expires_at;
  bool not_modified = false;  // Since the version that the client has.

  SessionReply() = default;
  explicit SessionReply(const VerifiedSession& verified)
      : session(verified.session), expires_at(verified.expires_at) {}
  explicit SessionReply(SessionPtr as_recorded)
      : session(std::move(as_recorded)),
        expires_at(
            std::min(session->absolute_expires_at, session->last_seen_at + session->idle_ttl)) {}
};

struct IssuedSessionReply {
  SessionPtr session;
  WallTime expires_at;
  std::string token;

  IssuedSessionReply() = default;
  explicit IssuedSessionReply(IssuedSession issued)
      : session(std::move(issued.session)),
        expires_at(issued.expires_at),
        token(std::move(issued.token)) {}
};

namespace detail {

// A JSON object kept as its text.
extern const TypeOps kObjectText;

template <class Reply, auto Member>
void* through_session(void* reply) {
  const Session& session = *static_cast<Reply*>(reply)->session;
  return const_cast<void*>(static_cast<const void*>(&(session.*Member)));
}

template <class Reply, auto Member>
constexpr FieldInfo session_field(std::string_view name, std::string_view doc) {
  FieldInfo info = field<Member>(name, doc);
  info.member = &through_session<Reply, Member>;
  return info;
}

template <class Reply>
constexpr FieldInfo data_field() {
  FieldInfo info = session_field<Reply, &Session::data>("data", "What the session carries.");
  info.type = &kObjectText;
  return info;
}

template <class Reply>
constexpr auto session_fields() {
  return describe(
      session_field<Reply, &Session::id>("id", "Names the session; not a credential."),
      session_field<Reply, &Session::user>("user", "Whose session it is."),
      session_field<Reply, &Session::agent>("agent", "The agent it acts through; may be empty."),
      session_field<Reply, &Session::device>("device", "What the client calls itself."),
      session_field<Reply, &Session::address>("address", "Where it was created from."),
      data_field<Reply>(),
      session_field<Reply, &Session::version>("version", "Of the data; also the ETag."),
      session_field<Reply, &Session::created_at>("created_at", "When it was created."),
      session_field<Reply, &Session::last_seen_at>(
          "last_seen_at", "Its last recorded use; at most a minute behind."),
      field<&Reply::expires_at>("expires_at", "When it ends unless it is used again."),
      session_field<Reply, &Session::absolute_expires_at>("absolute_expires_at",
                                                          "When it ends in any case."),
      session_field<Reply, &Session::idle_ttl>("idle_ttl",
                                               "Seconds without use after which it ends."));
}

template <std::size_t N>
constexpr std::array<FieldInfo, N + 1> with_field(const std::array<FieldInfo, N>& fields,
                                                  const FieldInfo& last) {
  std::array<FieldInfo, N + 1> out{};
  std::copy(fields.begin(), fields.end(), out.begin());
  out[N] = last;
  return out;
}

}  // namespace detail

template <>
struct Description<SessionReply> {
  static constexpr std::string_view name = "Session";
  static constexpr auto fields = detail::session_fields<SessionReply>();
};

template <>
struct Description<IssuedSessionReply> {
  static constexpr std::string_view name = "IssuedSession";
  static constexpr auto fields = detail::with_field(
      detail::session_fields<IssuedSessionReply>(),
      field<&IssuedSessionReply::token>("token", "The credential. It is shown this once.", secret));
};

// What write_object() writes, in a fraction of the time.
void write_reply(std::string& out, const SessionReply& reply);

struct ListedSessionReply {
  SessionPtr session;
  WallTime expires_at;
  std::optional<std::string> error;

  ListedSessionReply() = default;
  explicit ListedSessionReply(SessionPtr as_recorded) {
    SessionReply reply(std::move(as_recorded));
    session = std::move(reply.session);
    expires_at = reply.expires_at;
    if (!session->readable) error = "data_unreadable";
  }
};

template <>
struct Description<ListedSessionReply> {
  static constexpr std::string_view name = "ListedSession";
  static constexpr auto fields = detail::with_field(
      detail::session_fields<ListedSessionReply>(),
      field<&ListedSessionReply::error>(
          "error",
          "`data_unreadable`: its data does not open, as when its encryption key has left the key "
          "ring or the row was altered; `data` is then empty. Absent otherwise."));
};

struct SessionListReply {
  std::vector<ListedSessionReply> data;
  std::optional<std::string> next_cursor;
  bool has_more = false;
  static constexpr std::string_view schema_name = "SessionList";
  static constexpr auto fields =
      describe(field<&SessionListReply::data>("data", "The sessions, newest first."),
               field<&SessionListReply::next_cursor>("next_cursor", "Where the next page begins."),
               field<&SessionListReply::has_more>("has_more", "Whether there is a next page."));
};

struct RevokedSessionsReply {
  std::int64_t revoked = 0;
  static constexpr std::string_view schema_name = "RevokedSessions";
  static constexpr auto fields = describe(field<&RevokedSessionsReply::revoked>(
      "revoked", "How many sessions were ended, of those that are stored."));
};

}  // namespace redoubt::operations
