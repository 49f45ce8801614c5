#include "operations/sessions_replies.hpp"

#include "base/append.hpp"

#include <algorithm>
#include <charconv>

namespace redoubt::operations {
namespace {

constexpr std::size_t kKeyBytes = 256;    // All names of fields and their punctuation.
constexpr std::size_t kNumberBytes = 20;  // Of an int64.

// Puts members of an object one behind the other. A text that needs an escape ends it.
class MemberWriter {
 public:
  explicit MemberWriter(char* to) : to_(to) {}

  // `key`: with the punctuation before it and the colon behind.
  void text(std::string_view key, std::string_view value) {
    if (to_ == nullptr) return;
    put(key);
    to_ = put_plain_json_string(to_, value);
  }
  void json(std::string_view key, std::string_view value) {
    if (to_ == nullptr) return;
    put(key);
    put(value);
  }
  void number(std::string_view key, std::int64_t value) {
    if (to_ == nullptr) return;
    put(key);
    to_ = std::to_chars(to_, to_ + kNumberBytes, value).ptr;
  }
  void time(std::string_view key, WallTime value) {
    if (to_ == nullptr) return;
    put(key);
    *to_++ = '"';
    to_ = put_rfc3339(to_, value);
    *to_++ = '"';
  }
  void end() {
    if (to_ != nullptr) *to_++ = '}';
  }

  const char* where() const { return to_; }  // Null: it has ended early.

 private:
  void put(std::string_view text) { to_ = std::copy(text.begin(), text.end(), to_); }

  char* to_;
};

const char* put_session(char* to, const SessionReply& reply) {
  const Session& session = *reply.session;
  MemberWriter out(to);
  out.text(R"({"id":)", session.id);
  out.text(R"(,"user":)", session.user);
  out.text(R"(,"agent":)", session.agent);
  out.text(R"(,"device":)", session.device);
  out.text(R"(,"address":)", session.address);
  out.json(R"(,"data":)", session.data);
  out.number(R"(,"version":)", session.version);
  out.time(R"(,"created_at":)", session.created_at);
  out.time(R"(,"last_seen_at":)", session.last_seen_at);
  out.time(R"(,"expires_at":)", reply.expires_at);
  out.time(R"(,"absolute_expires_at":)", session.absolute_expires_at);
  out.number(R"(,"idle_ttl":)", session.idle_ttl.count() / 1000);
  out.end();
  return out.where();
}

}  // namespace

void write_reply(std::string& out, const SessionReply& reply) {
  const Session& s = *reply.session;
  const std::size_t before = out.size();
  const std::size_t room = kKeyBytes + 2 * kNumberBytes + 4 * (kRfc3339Size + 2) + s.id.size() +
                           s.user.size() + s.agent.size() + s.device.size() + s.address.size() +
                           s.data.size();
  bool written = false;
  // libstdc++ 12 passes the capacity instead of the size, so the size comes from here.
  out.resize_and_overwrite(before + room, [&](char* data, std::size_t) {
    const char* const end =
        s.idle_ttl.count() % 1000 == 0 ? put_session(data + before, reply) : nullptr;
    written = end != nullptr;
    return written ? static_cast<std::size_t>(end - data) : before;
  });
  if (!written) write_object(out, fields_of<SessionReply>(), &reply);
}

}  // namespace redoubt::operations
