#include "tests/sim/keyspace.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::sim {

Keyspace::Value* Keyspace::find(std::string_view key, std::int64_t now_ms) {
  const auto it = values_.find(key);
  if (it == values_.end()) return nullptr;
  if (it->second.ends_ms == 0 || it->second.ends_ms > now_ms) return &it->second;
  values_.erase(it);
  return nullptr;
}

const std::string* Keyspace::text(std::string_view key, std::int64_t now_ms) {
  const Value* const value = find(key, now_ms);
  return value != nullptr && !value->is_list ? &value->text : nullptr;
}

Keyspace::List* Keyspace::list(std::string_view key, std::int64_t now_ms) {
  Value* const value = find(key, now_ms);
  return value != nullptr && value->is_list ? &value->list : nullptr;
}

Keyspace::List& Keyspace::make_list(std::string_view key, std::int64_t now_ms) {
  if (List* const there = list(key, now_ms)) return *there;
  Value& value = values_[std::string(key)];
  value.is_list = true;
  return value.list;
}

bool Keyspace::has(std::string_view key, std::int64_t now_ms) {
  return find(key, now_ms) != nullptr;
}

void Keyspace::set(std::string_view key, std::string text, std::int64_t ends_ms) {
  const auto it = values_.find(key);
  Value& value = it != values_.end() ? it->second : values_[std::string(key)];
  value = {std::move(text), {}, false, ends_ms};
}

bool Keyspace::erase(std::string_view key, std::int64_t now_ms) {
  if (find(key, now_ms) == nullptr) return false;
  values_.erase(values_.find(key));
  return true;
}

bool Keyspace::expire(std::string_view key, std::int64_t ends_ms, std::int64_t now_ms) {
  Value* const value = find(key, now_ms);
  if (value != nullptr) value->ends_ms = ends_ms;
  return value != nullptr;
}

std::optional<std::int64_t> Keyspace::ends(std::string_view key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return std::nullopt;
  return it->second.ends_ms;
}

std::vector<std::string> Keyspace::keys() const {
  std::vector<std::string> keys;
  keys.reserve(values_.size());
  for (const auto& [key, value] : values_) keys.push_back(key);
  std::ranges::sort(keys);
  return keys;
}

}  // namespace redoubt::sim
