// What a Redis keeps: keys with a string or a list, each until an instant of its own clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace redoubt::sim {

class Keyspace {
 public:
  using List = std::vector<std::string>;

  // The text under a key, if it is there at `now_ms`; null when it is not, or is a list.
  const std::string* text(std::string_view key, std::int64_t now_ms);
  List* list(std::string_view key, std::int64_t now_ms);
  List& make_list(std::string_view key, std::int64_t now_ms);  // REQUIRES: it is no text.
  bool has(std::string_view key, std::int64_t now_ms);

  void set(std::string_view key, std::string text, std::int64_t ends_ms);
  bool erase(std::string_view key, std::int64_t now_ms);
  bool expire(std::string_view key, std::int64_t ends_ms, std::int64_t now_ms);
  std::optional<std::int64_t> ends(std::string_view key) const;  // 0: never.

  void clear() { values_.clear(); }
  std::size_t size() const { return values_.size(); }
  std::vector<std::string> keys() const;  // In byte order.

 private:
  struct Value {
    std::string text;
    List list;
    bool is_list = false;
    std::int64_t ends_ms = 0;  // 0: never.
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };
  Value* find(std::string_view key, std::int64_t now_ms);

  std::unordered_map<std::string, Value, Hash, std::equal_to<>> values_;
};

}  // namespace redoubt::sim
