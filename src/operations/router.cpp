#include "operations/router.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"
#include "operations/path_template.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace redoubt::operations {
namespace {

constexpr std::size_t kMethods = static_cast<std::size_t>(Method::options) + 1;

// What answers at one path, by method.
struct Endpoint {
  std::array<const Operation*, kMethods> operations{};
  std::array<std::vector<std::string_view>, kMethods> param_names;  // In the order of the path.
  std::string allow;
};

struct Node {
  std::vector<std::pair<std::string, std::unique_ptr<Node>>> literals;  // Few: looked at in turn.
  std::unique_ptr<Node> parameter;
  const Endpoint* endpoint = nullptr;
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

// The segments of a request's path, decoded where they had escapes.
struct Segments {
  std::array<std::string_view, kPathSegmentsMax> text;
  std::vector<std::string> decoded;  // Never reallocated: text points into it.
  std::size_t count = 0;
};

// The segments that fell on parameters.
struct Captured {
  std::array<std::size_t, kPathParamsMax> segment;
  std::size_t count = 0;
};

RouteMatch::Status split_path(std::string_view path, Segments& out) {
  using enum RouteMatch::Status;
  if (!path.starts_with('/')) return bad_path;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t size = std::min(path.find('/'), path.size());
    std::string_view segment = path.substr(0, size);
    path.remove_prefix(size);
    if (out.count == kPathSegmentsMax) return not_found;
    if (segment.find('%') != std::string_view::npos) {
      auto decoded = percent_decode(segment, false);
      if (!decoded) return bad_path;
      out.decoded.reserve(kPathSegmentsMax);
      segment = out.decoded.emplace_back(std::move(*decoded));
    }
    if (segment.empty() || segment == "." || segment == "..") return not_found;
    out.text[out.count++] = segment;
  }
  return found;
}

Node* literal_child(const Node& node, std::string_view segment) {
  for (const auto& [text, child] : node.literals) {
    if (text == segment) return child.get();
  }
  return nullptr;
}

Node& add_child(Node& node, std::string_view segment) {
  if (!parameter_name(segment).empty()) {
    if (!node.parameter) node.parameter = std::make_unique<Node>();
    return *node.parameter;
  }
  if (Node* literal = literal_child(node, segment)) return *literal;
  return *node.literals.emplace_back(std::string(segment), std::make_unique<Node>()).second;
}

const Endpoint* walk(const Node& node, const Segments& path, std::size_t depth,
                     Captured& captured) {
  if (depth == path.count) return node.endpoint;
  if (const Node* literal = literal_child(node, path.text[depth])) {
    if (const Endpoint* end = walk(*literal, path, depth + 1, captured)) return end;
  }
  if (!node.parameter) return nullptr;
  captured.segment[captured.count++] = depth;
  if (const Endpoint* end = walk(*node.parameter, path, depth + 1, captured)) return end;
  --captured.count;
  return nullptr;
}

std::string allow_list(const Endpoint& endpoint) {
  std::string out;
  for (std::size_t i = 0; i < kMethods; ++i) {
    const bool head_by_get = static_cast<Method>(i) == Method::head &&
                             endpoint.operations[static_cast<std::size_t>(Method::get)] != nullptr;
    if (endpoint.operations[i] == nullptr && !head_by_get) continue;
    if (!out.empty()) out += ", ";
    out += method_name(static_cast<Method>(i));
  }
  return out;
}

}  // namespace

struct Router::Impl {
  // Keyed by the path with its parameters unnamed: "/api/v1/sessions/{}".
  std::map<std::string, Endpoint> endpoints;
  std::unordered_map<std::string_view, const Endpoint*, TextHash, std::equal_to<>> fixed;
  Node root;

  void add(const Operation& operation) {
    std::string shape;
    std::vector<std::string_view> names;
    Node* node = &root;
    for (const std::string_view segment : template_segments(operation.info.path)) {
      const std::string_view name = parameter_name(segment);
      node = &add_child(*node, segment);
      if (!name.empty()) names.push_back(name);
      shape += '/';
      shape += name.empty() ? segment : "{}";
    }
    RD_ASSERT(names.size() <= kPathParamsMax, operation.info.path);
    Endpoint& endpoint = endpoints[shape];
    const auto method = static_cast<std::size_t>(operation.info.method);
    if (names.empty()) fixed.emplace(operation.info.path, &endpoint);
    endpoint.operations[method] = &operation;
    endpoint.param_names[method] = std::move(names);
    endpoint.allow = allow_list(endpoint);
    node->endpoint = &endpoint;
  }
};

namespace {

// Chooses by method; false when the endpoint has none for it.
bool choose(const Endpoint& endpoint, Method method, RouteMatch& match) {
  auto index = static_cast<std::size_t>(method);
  if (endpoint.operations[index] == nullptr && method == Method::head) {
    index = static_cast<std::size_t>(Method::get);
  }
  match.operation = endpoint.operations[index];
  match.allow = endpoint.allow;
  match.status = match.operation == nullptr ? RouteMatch::Status::method_not_allowed
                                            : RouteMatch::Status::found;
  if (match.operation == nullptr) return false;
  for (const std::string_view name : endpoint.param_names[index]) {
    match.param_storage[match.param_count++].name = name;
  }
  return true;
}

}  // namespace

Router::Router(const Registry& registry) : impl_(std::make_unique<Impl>()) {
  for (const Operation& operation : registry.all()) impl_->add(operation);
}

Router::~Router() = default;

RouteMatch Router::match(Method method, std::string_view path) const {
  RouteMatch found;
  match(method, path, found);
  return found;
}

void Router::match(Method method, std::string_view path, RouteMatch& match) const {
  match.operation = nullptr;
  match.allow = {};
  match.param_count = 0;
  const auto fixed = impl_->fixed.find(path);
  if (fixed != impl_->fixed.end()) {
    choose(*fixed->second, method, match);
    return;
  }
  Segments segments;
  match.status = split_path(path, segments);
  if (match.status != RouteMatch::Status::found) return;
  Captured captured;
  const Endpoint* endpoint = walk(impl_->root, segments, 0, captured);
  if (endpoint == nullptr) {
    match.status = RouteMatch::Status::not_found;
    return;
  }
  if (!choose(*endpoint, method, match)) return;
  for (std::size_t i = 0; i < match.param_count; ++i) {
    match.param_storage[i].value = segments.text[captured.segment[i]];
  }
}

}  // namespace redoubt::operations
