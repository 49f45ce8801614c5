#include "shared/copies.hpp"

#include "base/assert.hpp"
#include "shared/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

namespace redoubt::shared {
namespace {

constexpr std::size_t kDigits = 19;
constexpr char kCopy = 'c';
constexpr char kTombstone = 't';

constexpr std::string_view kReadsHelp = "Copies looked for in the shared tier, by what was found.";
constexpr std::string_view kWritesHelp =
    "Copies written to the shared tier, by what became of them.";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool reads_open(const SharedState& state, const CopyName& name) {
  const std::hash<std::string_view> hash;
  return state.reads_open(hash(name.tenant) ^ (hash(name.id) * 31));
}

boost::asio::awaitable<WatchedCopy> Copies::watch(CopyName name) {
  std::optional<Copy> copy = co_await get(name);
  co_return WatchedCopy{.copy = std::move(copy), .watched = Watched::never};
}

boost::asio::awaitable<std::vector<WatchedCopy>> Copies::watch_all(std::vector<CopyName> names) {
  std::vector<WatchedCopy> watched;
  std::vector<std::optional<Copy>> copies = co_await get_all(std::move(names));
  for (std::optional<Copy>& copy : copies) {
    watched.push_back({.copy = std::move(copy), .watched = Watched::never});
  }
  co_return watched;
}

std::string encode_copy(std::int64_t version, std::string_view bytes) {
  RD_ASSERT(version >= 0 && version < kBuried, "the version of a copy is out of range");
  std::string value;
  value.reserve(kDigits + 1 + bytes.size());
  fmt::format_to(std::back_inserter(value), "{:019}", version);
  value += kCopy;
  value += bytes;
  return value;
}

std::string encode_tombstone() {
  return fmt::format("{:019}{}", kBuried, kTombstone);
}

std::optional<Copy> decode_copy(std::string value) {
  if (value.size() <= kDigits) return std::nullopt;
  if (!std::all_of(value.begin(), value.begin() + kDigits, is_digit)) return std::nullopt;
  Copy copy;
  const auto read = std::from_chars(value.data(), value.data() + kDigits, copy.version);
  if (read.ec != std::errc()) return std::nullopt;
  const char kind = value[kDigits];
  if (kind == kTombstone && value.size() == kDigits + 1) {
    copy.version = kBuried;
    return copy;
  }
  if (kind != kCopy || copy.version == kBuried) return std::nullopt;
  value.erase(0, kDigits + 1);
  copy.bytes = std::move(value);
  return copy;
}

CopyMetrics::CopyMetrics(Metrics& m)
    : hits(m.counter("redoubt_shared_copy_reads_total", kReadsHelp, {{"result", "hit"}})),
      misses(m.counter("redoubt_shared_copy_reads_total", kReadsHelp, {{"result", "miss"}})),
      buried(m.counter("redoubt_shared_copy_reads_total", kReadsHelp, {{"result", "tombstone"}})),
      unread(m.counter("redoubt_shared_copy_reads_total", kReadsHelp, {{"result", "unanswered"}})),
      strange(m.counter("redoubt_shared_copy_reads_total", kReadsHelp, {{"result", "strange"}})),
      written(m.counter("redoubt_shared_copy_writes_total", kWritesHelp, {{"result", "stored"}})),
      older(m.counter("redoubt_shared_copy_writes_total", kWritesHelp, {{"result", "older"}})),
      unwritten(
          m.counter("redoubt_shared_copy_writes_total", kWritesHelp, {{"result", "failed"}})) {}

}  // namespace redoubt::shared
