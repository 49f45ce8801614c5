// Which operation answers a request: method and path to an Operation and its path parameters.
//
// Paths without parameters are found in a hash table; the rest by a trie of segments in which a
// literal beats a parameter, as OpenAPI says. Segments are split first and percent-decoded after,
// so %2F belongs to a value. Empty, "." and ".." segments and a trailing slash match nothing; HEAD
// is answered by GET.
//
// Built once. Threads: any may match. Costs: no allocation but for values that do not fit into a
// std::string's own bytes and for escapes.
#pragma once

#include "operations/operation.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace redoubt::operations {

inline constexpr std::size_t kPathParamsMax = 4;
inline constexpr std::size_t kPathSegmentsMax = 16;

struct RouteMatch {
  enum class Status : std::uint8_t {
    found,
    not_found,
    method_not_allowed,  // 405, with `allow`.
    bad_path,            // 400: a percent-escape that is none, or a path that is none.
  };

  Status status = Status::not_found;
  const Operation* operation = nullptr;  // Only when found.
  std::string_view allow;                // "GET, HEAD, PUT"; lives as long as the router.
  std::array<PathParam, kPathParamsMax> param_storage;
  std::size_t param_count = 0;

  std::span<const PathParam> params() const { return {param_storage.data(), param_count}; }
};

class Router {
 public:
  // REQUIRES: the registry outlives the router and gets no more operations.
  explicit Router(const Registry& registry);
  ~Router();

  // `path` as on the wire, without the query.
  RouteMatch match(Method method, std::string_view path) const;
  // The same into a match that was used before.
  void match(Method method, std::string_view path, RouteMatch& match) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace redoubt::operations
