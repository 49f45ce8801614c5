#include "redis/tracking.hpp"

namespace redoubt::redis {

const Command& watch_next() {
  static const Command command = Command("CLIENT").arg("CACHING").arg("YES");
  return command;
}

bool take_invalidation(const Value& push, TrackingHandler& handler) {
  const std::span<const Value> items = push.items();
  if (items.size() != 2 || items[0].text() != "invalidate") return false;
  if (items[1].is_null()) {
    handler.all_changed();  // FLUSHALL, FLUSHDB.
    return true;
  }
  for (const Value& key : items[1].items()) handler.changed(key.text());
  return true;
}

}  // namespace redoubt::redis
