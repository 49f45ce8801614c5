// Copies of sessions in the shared tier: read before the record, written after it.
//
// A copy answers only while it is provably good: while the journal is fresh, and unless the journal
// has announced that the session, its user or its tenant changed since it was made. It only ever
// says yes: whatever it does not prove good, the record decides.
//
// Threads: one worker's. Cost: one GET for find(); one SET, or script, for keep() and end();
// nothing while the shared tier is away.
#pragma once

#include "base/metrics.hpp"
#include "base/vault.hpp"
#include "record/copy_trust.hpp"
#include "record/record.hpp"
#include "services/sessions/copy_format.hpp"
#include "services/sessions/dependencies.hpp"
#include "shared/changes.hpp"
#include "shared/copies.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::sessions {

// Two eras of the default length: no copy is good for longer.
inline constexpr Duration kCopyLife{600'000};

struct SessionCopiesParts {
  shared::Copies& copies;
  const shared::SharedState& state;
  const shared::Changes& changes;  // Hears the journal: listen_for_copies().
  const record::Record& record;
  const Vault& vault;
  const Clock& clock;
  Metrics& metrics;
};

// A copy that may answer.
struct GoodCopy {
  SessionCopy copy;
  std::string id;   // As text.
  Dependencies on;  // What it was judged by.
};

class SessionCopies {
 public:
  explicit SessionCopies(const SessionCopiesParts& parts);

  // A copy that may answer now; with Trust::grace, also while the journal is not fresh: by all that
  // was heard until then.
  boost::asio::awaitable<std::optional<GoodCopy>> find(Id128 id, record::Trust trust);

  // To be read before the record is: what the copy that is made of it is stamped with.
  std::int64_t stamp() const { return parts_.state.eras().current(); }

  enum class Name : std::uint8_t {
    fresh,  // Of a session that was just made: there is no copy yet.
    known,
  };
  // `row` and `data` as the record has them, by a read or commit that began after `stamp` was
  // taken.
  boost::asio::awaitable<void> keep(const record::SessionRow& row, std::string_view data,
                                    std::int64_t stamp, Name name);
  // It is gone, and late copies of it shall not come back.
  boost::asio::awaitable<void> end(Id128 id);

 private:
  // `text`: the id.
  std::optional<GoodCopy> judge(const Id128& id, std::string text, const shared::Copy& found,
                                record::Trust trust);
  bool may_answer(const SessionCopy& copy, const Dependencies& on, record::Trust trust) const;

  SessionCopiesParts parts_;
  Counter& good_;
  Counter& stale_;
  Counter& unreadable_;
};

// What the journal says, for `changes`. To be subscribed before whoever bumps local::Invalidations,
// and before the first poll of the era: a copy that is kept in memory must have been judged by all
// that memory has heard.
record::JournalListener listen_for_copies(shared::Changes& changes);

}  // namespace redoubt::sessions
