// The names of everything Redoubt keeps in Redis, built in one place:
//
//   rd:<generation>:{<tenant>}:<noun>:<segment>:<segment>...
//
// Tenant and segments are percent-encoded (RFC 3986, unreserved characters stand for themselves),
// so that a name with ':', '{' or a glob in it stays inside its segment: different parts never make
// the same key, and parse_key() gives them back. The braces make the tenant the hash tag: all keys
// of a tenant are in one slot of a cluster, and one script may use several of them.
//
// The generation is that of the Redis behind it (reliability: incarnation). A new one makes every
// older key unreachable at once; they expire by themselves, because every key has a TTL.
//
// Channels are named alike, by what is told on them and by whose record it is:
//
//   rd:<generation>:<topic>:<identity of the record>
//
// docs/keys.md lists what is stored under each noun and told on each channel.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::shared {

enum class Noun : std::uint8_t {
  session,
  user,
  chat,
  temp,
  cache,
  ratelimit,
  circuit,
  lock,
  agent_meta
};

std::string_view noun_name(Noun noun);

enum class Topic : std::uint8_t {
  journal,        // An instance has announced something in the journal.
  invalidations,  // Of the cache, that are not in the record yet.
};

// Keys without a tenant: about this Redis itself.
inline constexpr std::string_view kIncarnationKey = "rd:inc";   // Whose it is, and its generation.
inline constexpr std::string_view kHeartbeatPrefix = "rd:hb:";  // The write canary of an instance.

class KeySpace {
 public:
  explicit KeySpace(std::int64_t generation);

  std::int64_t generation() const { return generation_; }

  // REQUIRES: a tenant that is not empty (an empty hash tag would be none).
  void append_key(std::string& out, std::string_view tenant, Noun noun,
                  std::span<const std::string_view> segments) const;
  std::string key(std::string_view tenant, Noun noun,
                  std::span<const std::string_view> segments) const;
  std::string key(std::string_view tenant, Noun noun, std::string_view segment) const {
    return key(tenant, noun, {&segment, 1});
  }

  std::string channel(Topic topic, std::string_view identity) const;

 private:
  std::int64_t generation_;
  std::string prefix_;  // "rd:<generation>:{"
};

struct ParsedKey {
  std::int64_t generation = 0;
  std::string tenant;
  Noun noun = Noun::session;
  std::vector<std::string> segments;
};

// Empty for whatever KeySpace does not make.
std::optional<ParsedKey> parse_key(std::string_view key);

}  // namespace redoubt::shared
