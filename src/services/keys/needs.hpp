// What needs a key of the ring: rows that are sealed under it, and sealed session tokens, which no
// row shows. A key may leave the ring when nothing needs it.
//
// Threads: any, once the nouns are complete.
// Errors: those of the record.
#pragma once

#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::keys {

struct Need {
  std::string kid;
  std::int64_t rows = 0;
  std::string nouns;  // "1 pepper, 120 sessions"
  // Good tokens are perhaps sealed under it until then; empty when certainly not.
  std::optional<WallTime> tokens_until;

  bool any() const { return rows > 0 || tokens_until.has_value(); }
};

class KeyNeeds {
 public:
  // `tokens_count`: sealed tokens are accepted, so a key they are sealed under is needed.
  KeyNeeds(record::Record& record, const Clock& clock, bool tokens_count)
      : record_(record), clock_(clock), tokens_count_(tokens_count) {}

  void add(record::Resealable& noun) { nouns_.push_back(&noun); }
  const std::vector<record::Resealable*>& nouns() const { return nouns_; }

  // Of the keys of `ring`, in its order.
  Task<std::vector<Need>> of(const std::vector<RingKey>& ring);

  // Of the keys that are needed and not in `ring`.
  Task<std::vector<Need>> outside(const std::vector<RingKey>& ring);

  // The keys that rows are sealed under, in the ring or not.
  Task<std::set<KeyId>> in_use();

  // Under other keys than `primary`.
  Task<std::int64_t> rows_under_others(const KeyId& primary);

 private:
  Task<Need> rows_of(std::string kid);
  std::optional<WallTime> still(WallTime sealed_until) const;

  record::Record& record_;
  const Clock& clock_;
  const bool tokens_count_;
  std::vector<record::Resealable*> nouns_;
};

// conflict "key_needed": what is missing from the ring at `place`, what for, and what to do.
Error key_needed(const std::vector<Need>& missing, std::string_view place);

bool contains(const std::vector<RingKey>& ring, std::string_view kid);

}  // namespace redoubt::keys
