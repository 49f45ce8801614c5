#include "services/keys/needs.hpp"

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "record/key_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::keys {
namespace {

// A clock that was set back makes tokens last longer than was noted.
constexpr Duration kClockSlack{60'000};

std::optional<KeyId> parse_kid(std::string_view text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != KeyId{}.size()) return std::nullopt;
  KeyId id;
  std::ranges::copy(*bytes, id.begin());
  return id;
}

using Noted = std::vector<record::NotedKey>;

Task<Noted> read_noted(record::Record& record) {
  std::function<Task<Noted>(sql::Transaction&)> read = [](sql::Transaction& tx) {
    return record::noted_keys(tx);
  };
  co_return co_await record.read<Noted>(std::move(read));
}

std::string purposes(const Need& need) {
  std::string text = need.nouns;
  if (!need.tokens_until) return text;
  text += fmt::format("{}session tokens until {}", text.empty() ? "" : " and ",
                      format_rfc3339(*need.tokens_until));
  return text;
}

}  // namespace

bool contains(const std::vector<RingKey>& ring, std::string_view kid) {
  return std::ranges::any_of(ring,
                             [kid](const RingKey& key) { return format_key_id(key.id) == kid; });
}

Error key_needed(const std::vector<Need>& missing, std::string_view place) {
  std::string message = fmt::format("the key ring ({}) lacks", place);
  bool tokens = false;
  for (const Need& need : missing) {
    const bool one = need.rows == 1 && !need.tokens_until;
    message +=
        fmt::format(" key {} that {} still need{};", need.kid, purposes(need), one ? "s" : "");
    tokens = tokens || need.tokens_until;
  }
  message +=
      " put it back after the primary, and remove it when `redoubt keys status` shows 0 rows";
  if (tokens) {
    message +=
        " and no sealed_until. To end the tokens at once, because the key has leaked: start once "
        "without it and with SESSION_STORAGE=database";
  }
  return Error(Errc::conflict, "key_needed", std::move(message));
}

std::optional<WallTime> KeyNeeds::still(WallTime sealed_until) const {
  if (!tokens_count_ || clock_.wall() >= sealed_until + kClockSlack) return std::nullopt;
  return sealed_until;
}

Task<Need> KeyNeeds::rows_of(std::string kid) {
  Need need;
  need.kid = std::move(kid);
  const std::optional<KeyId> id = parse_kid(need.kid);
  if (!id) co_return fail(internal(fmt::format("rd_encryption_key holds a bad id: {}", need.kid)));
  for (record::Resealable* noun : nouns_) {
    RD_CO_TRY(rows, co_await noun->rows_needing(*id));
    need.rows += rows;
    if (rows == 0) continue;
    need.nouns += fmt::format("{}{} {}", need.nouns.empty() ? "" : ", ", rows, noun->name());
  }
  co_return need;
}

Task<std::vector<Need>> KeyNeeds::of(const std::vector<RingKey>& ring) {
  RD_CO_TRY(noted, co_await read_noted(record_));
  std::vector<Need> needs;
  for (const RingKey& key : ring) {
    RD_CO_TRY(need, co_await rows_of(format_key_id(key.id)));
    const auto note = std::ranges::find(noted, need.kid, &record::NotedKey::kid);
    if (note != noted.end()) need.tokens_until = still(note->sealed_until);
    needs.push_back(std::move(need));
  }
  co_return needs;
}

// Noted keys, and those that only the rows know: a note may have been forgotten while a row under
// its key was on its way.
Task<std::vector<Need>> KeyNeeds::outside(const std::vector<RingKey>& ring) {
  RD_CO_TRY(noted, co_await read_noted(record_));
  RD_CO_TRY(used, co_await in_use());
  for (const KeyId& id : used) {
    const std::string kid = format_key_id(id);
    const bool known = std::ranges::find(noted, kid, &record::NotedKey::kid) != noted.end();
    if (!known) noted.push_back({kid, {}, {}});
  }
  std::vector<Need> needs;
  for (const record::NotedKey& key : noted) {
    if (contains(ring, key.kid)) continue;
    RD_CO_TRY(need, co_await rows_of(key.kid));
    need.tokens_until = still(key.sealed_until);
    if (need.any()) needs.push_back(std::move(need));
  }
  co_return needs;
}

Task<std::set<KeyId>> KeyNeeds::in_use() {
  std::set<KeyId> keys;
  for (record::Resealable* noun : nouns_) {
    RD_CO_TRY(used, co_await noun->keys_in_use());
    keys.insert(used.begin(), used.end());
  }
  co_return keys;
}

Task<std::int64_t> KeyNeeds::rows_under_others(const KeyId& primary) {
  RD_CO_TRY(used, co_await in_use());
  std::int64_t rows = 0;
  for (const KeyId& id : used) {
    if (id == primary) continue;
    RD_CO_TRY(need, co_await rows_of(format_key_id(id)));
    rows += need.rows;
  }
  co_return rows;
}

}  // namespace redoubt::keys
