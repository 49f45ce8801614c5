#include "redis/classify.hpp"

#include "base/text.hpp"
#include "wire/redis_slot.hpp"

#include <array>

namespace redoubt::redis {
namespace {

struct Row {
  std::string_view word;  // The first of the reply.
  Meaning meaning;
};

constexpr std::array kRows = std::to_array<Row>({
    {"MOVED", Meaning::moved},
    {"ASK", Meaning::ask},
    {"TRYAGAIN", Meaning::try_again},
    {"CLUSTERDOWN", Meaning::no_safe_writes},
    {"MASTERDOWN", Meaning::no_safe_writes},
    {"NOREPLICAS", Meaning::no_safe_writes},
    {"LOADING", Meaning::loading},
    {"BUSY", Meaning::busy},
    {"READONLY", Meaning::read_only},
    {"OOM", Meaning::full},
    {"MISCONF", Meaning::full},
    {"NOSCRIPT", Meaning::no_script},
    {"NOAUTH", Meaning::denied},
    {"WRONGPASS", Meaning::denied},
    {"NOPERM", Meaning::denied},
    {"DENIED", Meaning::denied},
    {"EXECABORT", Meaning::discarded},
    {"CROSSSLOT", Meaning::cross_slot},
});

// "ERR Error running script (call to f_...): @user_script:1: -OOM ..." of Redis before 7. What the
// script called is named after the last ": -"; a "@" before it shows that Redis wrote that.
std::string_view unwrap(std::string_view reply) {
  if (!reply.starts_with("ERR Error running script")) return reply;
  const std::size_t at = reply.rfind(": -");
  const bool by_redis =
      at != std::string_view::npos && reply.substr(0, at).contains("@user_script");
  return by_redis ? reply.substr(at + 3) : reply;
}

std::string_view first_word(std::string_view reply) {
  return reply.substr(0, reply.find(' '));
}

Error made(Errc code, std::string slug, std::string message, std::string_view reply) {
  return Error(code, std::move(slug), std::move(message), std::string(reply));
}

}  // namespace

Meaning classify(std::string_view reply) {
  const std::string_view word = first_word(unwrap(reply));
  for (const Row& row : kRows) {
    if (row.word == word) return row.meaning;
  }
  return Meaning::error;
}

std::string_view name_of(Meaning meaning) {
  constexpr std::array<std::string_view, kMeanings> kNames{
      "moved", "ask",       "try_again", "no_safe_writes", "loading",    "busy", "read_only",
      "full",  "no_script", "denied",    "discarded",      "cross_slot", "error"};
  return kNames[static_cast<std::size_t>(meaning)];
}

std::optional<Redirect> parse_redirect(std::string_view reply) {
  const std::vector<std::string_view> words = split(reply, ' ');
  if (words.size() < 3 || (words[0] != "MOVED" && words[0] != "ASK")) return std::nullopt;
  const auto slot = parse_int(words[1]);
  const std::size_t colon = words[2].rfind(':');
  if (!slot || *slot < 0 || *slot >= wire::kSlots || colon == std::string_view::npos) {
    return std::nullopt;
  }
  const auto port = parse_int(words[2].substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  Redirect redirect;
  redirect.slot = static_cast<std::uint16_t>(*slot);
  redirect.endpoint.host = words[2].substr(0, colon);
  redirect.endpoint.port = static_cast<std::uint16_t>(*port);
  return redirect;
}

Error to_error(std::string_view reply) {
  switch (classify(reply)) {
    case Meaning::moved:
    case Meaning::ask:
      return made(Errc::unavailable, "redis_moved", "Redis is moving the key elsewhere", reply);
    case Meaning::try_again:
    case Meaning::no_safe_writes:
    case Meaning::loading:
    case Meaning::busy:
      return made(Errc::unavailable, "redis_refused", "Redis cannot take commands now", reply);
    case Meaning::read_only:
      return made(Errc::unavailable, "redis_read_only", "this Redis is not the master", reply);
    case Meaning::full:
      return made(Errc::unavailable, "redis_full", "Redis takes no writes now", reply);
    case Meaning::no_script:
      return made(Errc::unavailable, "redis_script_missing", "Redis forgot a script", reply);
    case Meaning::denied:
      return made(Errc::unavailable, "redis_denied", "Redis refuses our credentials or rights",
                  reply);
    case Meaning::discarded:
      return made(Errc::conflict, "redis_exec_abort", std::string(reply), reply);
    case Meaning::cross_slot:
      return made(Errc::invalid_argument, "redis_cross_slot",
                  "the keys of one command are in several slots of the cluster", reply);
    case Meaning::error:
      break;
  }
  return made(Errc::internal, "redis_error", "Redis could not execute a command", reply);
}

}  // namespace redoubt::redis
