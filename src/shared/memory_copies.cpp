#include "shared/memory_copies.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::shared {
namespace {

constexpr std::size_t kDigits = 19;

std::string key_of(const CopyName& name) {
  return KeySpace(0).key(name.tenant, name.noun, name.id);
}

bool begins_with_version(std::string_view text) {
  return text.size() >= kDigits && std::all_of(text.begin(), text.begin() + kDigits,
                                               [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<Copy> MemoryCopies::find(const CopyName& name) {
  ++reads_;
  if (failing_) {
    metrics_.unread.add();
    return std::nullopt;
  }
  const auto it = values_.find(key_of(name));
  if (it == values_.end() || clock_.boot() >= it->second.ends) {
    metrics_.misses.add();
    return std::nullopt;
  }
  std::optional<Copy> copy = decode_copy(it->second.text);
  if (copy && copy->version == kBuried) {
    metrics_.buried.add();
    return std::nullopt;
  }
  (copy ? metrics_.hits : metrics_.strange).add();
  return copy;
}

Stored MemoryCopies::set(const CopyName& name, std::string text, Duration life, bool if_newer) {
  RD_ASSERT(life > Duration(0) && life <= kCopyLifeMax, "the lifetime of a copy is out of range");
  if (failing_ || (!refused_.empty() && name.id == refused_)) {
    metrics_.unwritten.add();
    return Stored::nowhere;
  }
  const BootTime now = clock_.boot();
  Value& value = values_[key_of(name)];
  const bool there = now < value.ends && begins_with_version(value.text);
  if (if_newer && there && value.text.substr(0, kDigits) > text.substr(0, kDigits)) {
    metrics_.older.add();
    return Stored::older;
  }
  value = {std::move(text), now + life};
  for (CopyListener* listener : listeners_) listener->copy_changed(name);
  metrics_.written.add();
  return Stored::stored;
}

boost::asio::awaitable<std::optional<Copy>> MemoryCopies::get(CopyName name, View) {
  co_return find(name);
}

boost::asio::awaitable<std::vector<std::optional<Copy>>> MemoryCopies::get_all(
    std::vector<CopyName> names) {
  std::vector<std::optional<Copy>> copies;
  copies.reserve(names.size());
  for (const CopyName& name : names) copies.push_back(find(name));
  co_return copies;
}

WatchedCopy MemoryCopies::find_watched(const CopyName& name) {
  WatchedCopy found{.copy = find(name), .watched = Watched::no};
  if (!failing_) found.watched = listeners_.empty() ? Watched::never : Watched::yes;
  return found;
}

boost::asio::awaitable<WatchedCopy> MemoryCopies::watch(CopyName name) {
  co_return find_watched(name);
}

boost::asio::awaitable<std::vector<WatchedCopy>> MemoryCopies::watch_all(
    std::vector<CopyName> names) {
  std::vector<WatchedCopy> copies;
  copies.reserve(names.size());
  for (const CopyName& name : names) copies.push_back(find_watched(name));
  co_return copies;
}

// Connections are lost with it.
void MemoryCopies::fail(bool failing) {
  if (failing != failing_) unwatch();
  failing_ = failing;
}

void MemoryCopies::restore(Values values) {
  values_ = std::move(values);
  unwatch();
}

void MemoryCopies::unwatch() {
  for (CopyListener* listener : listeners_) listener->copies_unwatched();
}

boost::asio::awaitable<Stored> MemoryCopies::put(CopyName name, Copy copy, Duration life) {
  co_return set(name, encode_copy(copy.version, copy.bytes), life, false);
}

boost::asio::awaitable<Stored> MemoryCopies::put_if_newer(CopyName name, Copy copy, Duration life) {
  co_return set(name, encode_copy(copy.version, copy.bytes), life, true);
}

boost::asio::awaitable<Stored> MemoryCopies::bury(CopyName name, Duration life) {
  co_return set(name, encode_tombstone(), life, true);
}

}  // namespace redoubt::shared
