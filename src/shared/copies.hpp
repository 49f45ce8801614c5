// Copies of records in the shared tier: bytes under a name, each with the version it is a copy of.
//
// A copy is never the truth. Whatever goes wrong, a refusal, a time-out, a value nobody here wrote,
// is a miss and is counted; no call fails. What may be done with a copy that is found is its
// owner's to decide (eras.hpp, changes.hpp): Redis may have kept, lost or brought back any of them.
//
// The value in Redis:  <version, 19 digits> "c" <bytes>     a copy
//                      <version, 19 digits> "t"             a tombstone: there is nothing any more
//
// put_if_newer and bury leave what has a higher version alone, in one step of the server; so a late
// writer of an older version loses, and nothing replaces a tombstone while it lasts. Each writes
// what it writes as often as it is sent.
//
// Threads: those of the implementation. Cost: one round trip each; nothing while the shared tier is
// away.
#pragma once

#include "base/metrics.hpp"
#include "shared/keys.hpp"

#include <redoubt/clock.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::redis {
class Client;
class TrackingHandler;
}  // namespace redoubt::redis

namespace redoubt::shared {

class SharedState;

struct CopyName {
  Noun noun = Noun::session;
  std::string_view tenant;  // What the keys of a cluster slot have in common; see docs/keys.md.
  std::string_view id;
};

// Whether it is to be read already, after Redis came back (SharedState::reads_open()).
bool reads_open(const SharedState& state, const CopyName& name);

struct Copy {
  std::int64_t version = 0;  // 0 ..; kBuried is for tombstones.
  std::string bytes;
};

// By which generation a copy is looked for.
enum class View : std::uint8_t {
  fresh,          // The record's, asked for lately; otherwise nothing is found.
  as_last_known,  // Also while the record cannot be asked. What is found may be of a past one.
};

// Whether somebody is told when a copy that was read changes, CopyListener being who.
enum class Watched : std::uint8_t {
  no,     // Not this time: the shared tier is away or did not answer.
  yes,    // Once; also of changes that came before the answer.
  never,  // This one does not tell.
};

struct WatchedCopy {
  std::optional<Copy> copy;
  Watched watched = Watched::no;
};

class CopyListener {
 public:
  virtual ~CopyListener() = default;
  // Somebody has written, erased or evicted what was read under that name.
  virtual void copy_changed(const CopyName& name) = 0;
  // Nothing that was read before is watched any more.
  virtual void copies_unwatched() = 0;
};

inline constexpr std::int64_t kBuried = INT64_MAX;
inline constexpr Duration kCopyLifeMax{31LL * 86'400'000};

enum class Stored : std::uint8_t {
  stored,
  older,    // There is a newer one, or a tombstone.
  nowhere,  // Redis did not take it, or may or may not have.
};

class Copies {
 public:
  virtual ~Copies() = default;

  virtual boost::asio::awaitable<std::optional<Copy>> get(CopyName name,
                                                          View view = View::fresh) = 0;
  // In the order of the names; one round trip for each node.
  virtual boost::asio::awaitable<std::vector<std::optional<Copy>>> get_all(
      std::vector<CopyName> names) = 0;

  // The same, and the next change is told. By itself a kind of copies does not tell. Asks whether
  // or not reads are open: who has the value in memory knows more about whether it must.
  virtual boost::asio::awaitable<WatchedCopy> watch(CopyName name);
  virtual boost::asio::awaitable<std::vector<WatchedCopy>> watch_all(std::vector<CopyName> names);

  // Whatever is there: for names that nobody wrote before.
  // REQUIRES: a lifetime of 1 ms .. kCopyLifeMax, as below.
  virtual boost::asio::awaitable<Stored> put(CopyName name, Copy copy, Duration life) = 0;
  // Replaces an equal version.
  virtual boost::asio::awaitable<Stored> put_if_newer(CopyName name, Copy copy, Duration life) = 0;
  // A tombstone, for as long as a copy may live.
  virtual boost::asio::awaitable<Stored> bury(CopyName name, Duration life) = 0;
};

// The form of the value; empty for what is none. Of a tombstone: kBuried, whatever it says.
std::string encode_copy(std::int64_t version, std::string_view bytes);
std::string encode_tombstone();
std::optional<Copy> decode_copy(std::string value);

struct CopyMetrics {
  explicit CopyMetrics(Metrics& metrics);

  Counter& hits;
  Counter& misses;
  Counter& buried;   // A tombstone was found.
  Counter& unread;   // The shared tier is away, or did not answer.
  Counter& strange;  // A value nobody here wrote.
  Counter& written;
  Counter& older;
  Counter& unwritten;
};

// For the client that copies are watched over. `listener` outlives it.
std::unique_ptr<redis::TrackingHandler> track_copies(CopyListener& listener, Metrics& metrics);

// Over Redis. One per worker, on its executor, as the client is.
std::unique_ptr<Copies> make_redis_copies(redis::Client& client, SharedState& state,
                                          Metrics& metrics);

}  // namespace redoubt::shared
