#include "redis/handshake.hpp"

#include "base/text.hpp"
#include "redis/classify.hpp"

namespace redoubt::redis {
namespace {

std::string_view or_default(std::string_view user) {
  return user.empty() ? "default" : user;
}

Command hello(const Credentials& credentials, std::string_view client_name) {
  Command command("HELLO");
  command.arg(3);
  if (!credentials.password.empty()) {
    command.arg("AUTH").arg(or_default(credentials.user)).arg(credentials.password.reveal());
  }
  if (!client_name.empty()) command.arg("SETNAME").arg(client_name);
  return command;
}

// Servers before 6 know AUTH with a password only.
Command auth(const Credentials& credentials) {
  Command command("AUTH");
  if (!credentials.user.empty()) command.arg(credentials.user);
  command.arg(credentials.password.reveal());
  return command;
}

// HELLO is unknown, not permitted to anybody before AUTH, or does not know protocol 3.
bool speaks_resp2_only(std::string_view reply) {
  return reply.starts_with("NOPROTO") || reply.starts_with("NOPERM") || reply.starts_with("ERR");
}

// What is wrong with credentials that a server does not take, whatever it calls that.
Error denied(std::string_view reply) {
  return Error(Errc::unavailable, "redis_denied", "Redis refuses our credentials or rights",
               std::string(reply));
}

}  // namespace

void Handshake::add(std::vector<Command>& out, Asked what, Command command) {
  asked_.push_back(what);
  out.push_back(std::move(command));
}

std::vector<Command> Handshake::next() {
  std::vector<Command> out;
  if (stage_ == Stage::greet && plan_.allow_resp3) {
    out.push_back(hello(plan_.credentials, plan_.client_name));
    return out;
  }
  if (stage_ == Stage::done) return out;
  const bool greeted = stage_ == Stage::introduce && facts_.protocol == 3;
  stage_ = Stage::introduce;
  if (!greeted) {
    if (!plan_.credentials.password.empty()) add(out, Asked::auth, auth(plan_.credentials));
    if (!plan_.client_name.empty()) {
      add(out, Asked::name, Command("CLIENT").arg("SETNAME").arg(plan_.client_name));
    }
  }
  if (greeted && plan_.track) {
    add(out, Asked::track, Command("CLIENT").arg("TRACKING").arg("ON").arg("OPTIN"));
  }
  if (plan_.database != 0) add(out, Asked::select, Command("SELECT").arg(plan_.database));
  if (plan_.ask_facts) {
    add(out, Asked::role, Command("ROLE"));
    for (const char* section : {"server", "replication", "memory"}) {
      add(out, Asked::info, Command("INFO").arg(section));
    }
    if (!plan_.identity_key.empty()) {
      add(out, Asked::identity, Command("GET").arg(plan_.identity_key));
    }
  }
  if (out.empty()) stage_ = Stage::done;
  return out;
}

Result<void> Handshake::replies(std::vector<Value> values) {
  if (stage_ == Stage::greet) {
    if (values.size() != 1) return fail(internal("a handshake got another number of replies"));
    return greeted(values[0]);
  }
  if (values.size() != asked_.size()) {
    return fail(internal("a handshake got another number of replies"));
  }
  stage_ = Stage::done;
  for (std::size_t i = 0; i < values.size(); ++i) {
    RD_CHECK(answered(asked_[i], std::move(values[i])));
  }
  return {};
}

Result<void> Handshake::greeted(const Value& reply) {
  stage_ = Stage::introduce;
  if (!reply.is_error()) {
    facts_.protocol = 3;
    return {};
  }
  if (!speaks_resp2_only(reply.text())) return fail(to_error(reply.text()));
  facts_.protocol = 2;
  return {};
}

Result<void> Handshake::answered(Asked what, Value reply) {
  // Whatever was asked, these concern the whole connection.
  if (reply.is_error() && reply.text().starts_with("NOAUTH")) return fail(denied(reply.text()));
  if (reply.is_error() && classify(reply.text()) == Meaning::loading) {
    return fail(to_error(reply.text()));
  }
  switch (what) {
    case Asked::auth:
      if (reply.is_error()) return fail(denied(reply.text()));
      break;
    case Asked::select:
      if (reply.is_error()) return fail(to_error(reply.text()));
      break;
    case Asked::name:
      break;
    case Asked::track:
      facts_.tracks = reply.is_ok();
      break;
    case Asked::role:
      if (!reply.items().empty()) facts_.role = reply.items()[0].text();
      if (plan_.require_master && !facts_.role.empty() && facts_.role != "master") {
        return fail(Error(Errc::unavailable, "redis_read_only", "this Redis is not the master",
                          "ROLE says " + facts_.role));
      }
      break;
    case Asked::info:
      if (!reply.is_error()) read_info(reply.text());
      break;
    case Asked::identity:
      if (!reply.is_error()) facts_.identity = reply.take_text();
      break;
  }
  return {};
}

void Handshake::read_info(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (name == "redis_version" && facts_.version.empty()) facts_.version = value;
    if (name == "valkey_version") facts_.version = value;
    if (name == "run_id") facts_.run_id = value;
    if (name == "master_replid") facts_.replication_id = value;
    if (name == "maxmemory_policy") facts_.maxmemory_policy = value;
  }
}

}  // namespace redoubt::redis
