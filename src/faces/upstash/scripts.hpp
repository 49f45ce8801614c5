// Scripts that clients of Upstash write for Upstash: a first line "#!lua flags=allow-key-locking"
// has a flag that Redis does not know and refuses. It is taken off, the SHA-1 that Redis gives to
// what is left is remembered beside the one the client computed, and EVALSHA is translated.
//
// What was forgotten (another worker, a restart, more scripts than kept) is a NOSCRIPT, after which
// clients send the script again.
//
// Threads: one per worker.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

class UpstashScripts {
 public:
  // The command with its script or SHA replaced where that is needed, else `arguments` itself. Good
  // until the next call and as long as `arguments`.
  std::span<const std::string_view> translate(std::span<const std::string_view> arguments);

  // What SCRIPT LOAD answers: the SHA-1 of the script as the client knows it; empty for any other
  // command and for scripts that were not changed.
  static std::string loaded_sha(std::span<const std::string_view> arguments);

  // The script without the flag; empty when it has none. Lines keep their numbers.
  static std::string without_flag(std::string_view script);

 private:
  boost::unordered_flat_map<std::string, std::string> shas_;  // The client's to Redis'.
  std::vector<std::string_view> changed_;
  std::string script_;
};

}  // namespace redoubt::faces
