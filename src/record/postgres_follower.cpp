#include "record/postgres_follower.hpp"

#include "record/signal.hpp"
#include "sql/postgres/errors.hpp"

#include <boost/asio/post.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::postgres::Connection;
using sql::postgres::ConnectionOptions;
using sql::postgres::Params;

namespace {

constexpr std::chrono::minutes kPollGapMax{30};  // Half of what the journal is kept for.
// The server has ended by then whatever it still had of a connection that was lost.
constexpr std::chrono::minutes kInDoubtFor{10};
constexpr std::int64_t kPollRows = 5'000;
constexpr std::int64_t kHistory = 4'000;  // How far back running transactions may have numbers.
constexpr std::int64_t kRoundsPerBeat = 5;
constexpr std::chrono::minutes kCleaningPause{5};
constexpr std::string_view kPollsHelp =
    "Looks at the journal, by why: it was time, or a hint of another instance.";

constexpr std::string_view kServer = "SELECT CAST((pg_control_system()).system_identifier AS text)";
constexpr std::string_view kTimeline = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
constexpr std::string_view kKnownIncarnation =
    "SELECT number, bytes FROM rd_meta WHERE name = 'database.incarnation'";
constexpr std::string_view kNoteIncarnation =
    "INSERT INTO rd_meta (name, number, bytes) VALUES ('database.incarnation', $1, $2)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number, bytes = excluded.bytes";

constexpr std::string_view kNewest = "SELECT coalesce(max(seq), 0) FROM rd_journal";
// One statement, so that the rows and the snapshot belong together. Of new holes the bound is an id
// that is drawn now: the snapshot's own end is behind the last transaction that ended, and one that
// still runs, and will fill the hole, may have an id above it.
constexpr std::string_view kPoll =
    "SELECT pg_snapshot_xmin(s),"
    " CASE WHEN max(j.seq) OVER () - $1 > count(j.seq) FILTER (WHERE j.seq > $1) OVER ()"
    " THEN pg_current_xact_id() ELSE pg_snapshot_xmax(s) END,"
    " j.seq, j.origin, j.tenant, j.kind, j.key, j.value"
    " FROM pg_current_snapshot() s LEFT JOIN LATERAL ("
    "  (SELECT * FROM rd_journal WHERE seq > $1 ORDER BY seq LIMIT $2)"
    "  UNION ALL SELECT * FROM rd_journal WHERE seq = ANY (CAST($3 AS bigint[]))"
    " ) j ON true ORDER BY j.seq";

constexpr std::string_view kBeat =
    "WITH mine AS ("
    " INSERT INTO rd_instance (id, heartbeat, journal_seq) VALUES ($1, $2, $3)"
    " ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat,"
    " journal_seq = excluded.journal_seq, seen_at = clock_timestamp())"
    " SELECT id, heartbeat, journal_seq FROM rd_instance WHERE id <> $1";
constexpr std::string_view kLeave = "DELETE FROM rd_instance WHERE id = $1";
constexpr sql::Statement kLookAround{
    "SELECT id, heartbeat, journal_seq, newest"
    " FROM (SELECT coalesce(max(seq), 0) AS newest FROM rd_journal) j"
    " LEFT JOIN rd_instance ON true"};

constexpr std::string_view kCleanJournal =
    "DELETE FROM rd_journal WHERE seq IN (SELECT seq FROM rd_journal"
    " WHERE at < clock_timestamp() - interval '1 hour' ORDER BY at LIMIT 10000)";
constexpr std::string_view kCleanInstances =
    "DELETE FROM rd_instance WHERE seen_at < clock_timestamp() - interval '1 hour'";
constexpr std::string_view kCleanLanes =
    "DELETE FROM rd_lane WHERE at < clock_timestamp() - interval '1 hour'";

ConnectionOptions follower_options(const PostgresRecordOptions& options) {
  ConnectionOptions out;
  out.connect_timeout = options.connect_timeout;
  out.reply_timeout = options.reply_timeout;
  // A heartbeat that a crash undoes does no harm.
  out.settings = {{"redoubt.tenant", "*"},
                  {"synchronous_commit", "off"},
                  {"statement_timeout", "5000"},
                  {"lock_timeout", "2000"}};
  return out;
}

}  // namespace

PostgresFollower::PostgresFollower(asio::any_io_executor executor,
                                   const sql::postgres::Target& target,
                                   const PostgresRecordOptions& options, std::string origin,
                                   Clock& clock, Log& log, Availability& availability,
                                   Metrics& metrics, sql::postgres::ConnectionSet& others,
                                   JournalListener tell)
    : options_(options),
      origin_(std::move(origin)),
      clock_(clock),
      log_(log),
      availability_(availability),
      others_(others),
      tell_(std::move(tell)),
      link_(executor, target, follower_options(options)),
      alarm_(executor),
      watch_alarm_(executor),
      pause_(executor),
      polls_due_(
          metrics.counter("redoubt_record_journal_polls_total", kPollsHelp, {{"cause", "time"}})),
      polls_hurried_(
          metrics.counter("redoubt_record_journal_polls_total", kPollsHelp, {{"cause", "hint"}})),
      cleaned_at_(clock.boot()) {}

Task<void> PostgresFollower::join() {
  RD_CO_TRY(connection, co_await link_.get());
  RD_CO_CHECK(co_await attach(*connection));
  attached_ = link_.opened();
  RD_CO_CHECK(co_await poll(*connection));
  co_return co_await beat(*connection);
}

asio::awaitable<void> PostgresFollower::follow() {
  while (!stopping_) {
    co_await rest();
    if (stopping_) break;
    // Before the poll: what is announced while it runs may not be in it.
    const bool hurried = hurried_.exchange(false);
    (hurried ? polls_hurried_ : polls_due_).add();
    pause_.expires_after(kHurryPause);
    reach_.look_begins();
    const auto done = co_await round();
    reach_.look_ended(done.has_value());
    if (done) {
      lost_cause_.clear();
      availability_.reached();
    } else {
      lost_cause_ = done.error().cause.empty() ? done.error().message : done.error().cause;
    }
  }
  const auto connection = co_await link_.get();
  if (!connection) co_return;
  const sql::Param id[] = {std::string_view(origin_)};
  std::ignore = co_await (*connection)->run(kLeave, Params(id));
}

// A look that fails is no news while copies are fresh: the next one may succeed. When they have
// grown old, it is why.
asio::awaitable<void> PostgresFollower::watch() {
  while (!stopping_) {
    co_await pause(watch_alarm_, ReachWatch::kTick);
    if (stopping_) break;
    if (!reach_.tick() || clock_.boot() < fresh_until()) continue;
    availability_.unreachable(
        lost_cause_.empty() ? sql::postgres::kSilent : sql::postgres::kUnreachable, lost_cause_);
    others_.end_waits();  // What was begun before, and what is begun for those in the queue.
  }
}

void PostgresFollower::hear_own() {
  hears_own_until_ = clock_.boot() + kInDoubtFor;
}

void PostgresFollower::stop() {
  stopping_ = true;
  alarm_.cancel();
  watch_alarm_.cancel();
  pause_.cancel();
}

void PostgresFollower::hurry() {
  if (hurried_.exchange(true)) return;
  asio::post(alarm_.get_executor(), [this] { alarm_.cancel(); });
}

// At most once a round, however many were answered.
void PostgresFollower::wake() {
  if (hurried_.exchange(true)) return;
  asio::post(alarm_.get_executor(), [this] {
    link_.wake();
    alarm_.cancel();
  });
}

// Until it is time, or somebody hurries and the last poll was long enough ago.
asio::awaitable<void> PostgresFollower::rest() {
  constexpr auto quietly = asio::as_tuple(asio::use_awaitable);
  alarm_.expires_after(options_.poll_interval);
  while (!hurried_ && !stopping_) {
    const auto [cut] = co_await alarm_.async_wait(quietly);
    if (!cut) co_return;
    // The echo of somebody whose poll has already been: the same end still holds.
  }
  co_await pause_.async_wait(quietly);
}

Task<void> PostgresFollower::round() {
  RD_CO_TRY(connection, co_await link_.get());
  if (attached_ != link_.opened()) {
    RD_CO_CHECK(co_await attach(*connection));
    attached_ = link_.opened();
  }
  if (clock_.boot() - polled_at_ > kPollGapMax) {
    RD_CO_CHECK(co_await restart_tail(*connection));
  }
  RD_CO_CHECK(co_await poll(*connection));
  ++rounds_;
  if (rounds_ % kRoundsPerBeat == 0 || tail_.heard() != reported_) {
    RD_CO_CHECK(co_await beat(*connection));
  }
  if (clock_.boot() - cleaned_at_ >= kCleaningPause) {
    cleaned_at_ = clock_.boot();
    RD_CO_CHECK(co_await clean(*connection));
  }
  co_return Result<void>{};
}

// A new connection may lead to another database than the one before: a standby that was promoted
// and lacks the end, a backup that was restored.
Task<void> PostgresFollower::attach(Connection& connection) {
  Incarnation now;
  const auto server = co_await connection.run(kServer);
  if (server && server->size() == 1) now.server = (*server)[0].text(0);
  const auto timeline = co_await connection.run(kTimeline);
  if (timeline && timeline->size() == 1) {
    const std::string& hex = (*timeline)[0].text(0);
    std::from_chars(hex.data(), hex.data() + hex.size(), now.timeline, 16);
  }
  const bool first = attached_ == 0;
  RD_CO_TRY(moved, co_await note_incarnation(connection, now));
  RD_CO_TRY(rows, co_await connection.run(kNewest));
  if (first || moved || rows[0].integer(0) < tail_.after()) {
    co_return co_await restart_tail(connection);
  }
  co_return Result<void>{};
}

// Whether it is another one than before: than this instance knew, or than the database itself
// notes.
Task<bool> PostgresFollower::note_incarnation(Connection& connection, Incarnation now) {
  RD_CO_TRY(rows, co_await connection.run(kKnownIncarnation));
  Incarnation known;
  if (!rows.empty()) known = {std::string(as_text(rows[0].bytes(1))), rows[0].integer(0)};
  if (!rows.empty() && known != now) {
    log_.error("record.database_changed", {{"server_before", known.server},
                                           {"server", now.server},
                                           {"timeline_before", known.timeline},
                                           {"timeline", now.timeline}});
  }
  if (rows.empty() || known != now) {
    const sql::Param params[] = {now.timeline, as_bytes(now.server)};
    RD_CO_CHECK(co_await connection.run(kNoteIncarnation, Params(params)));
  }
  const std::lock_guard lock(mutex_);
  const bool moved =
      (!rows.empty() && known != now) || (attached_ != 0 && facts_.incarnation != now);
  facts_.incarnation = std::move(now);
  co_return moved;
}

// Goes on behind the newest entry, far enough back for the numbers of transactions that still run.
// Whatever was missed, no copy made before this is good.
Task<void> PostgresFollower::restart_tail(Connection& connection) {
  RD_CO_TRY(rows, co_await connection.run(kNewest));
  tail_.start(std::max<std::int64_t>(0, rows[0].integer(0) - kHistory));
  polled_at_ = clock_.boot();
  tell_(JournalEntry{.kind = JournalEntry::Kind::everything, .tenant = {}, .key = {}});
  co_return Result<void>{};
}

Task<void> PostgresFollower::poll(Connection& connection) {
  for (;;) {
    const BootTime began = clock_.boot();
    const std::string holes = fmt::format("{{{}}}", fmt::join(tail_.holes(), ","));
    const sql::Param params[] = {tail_.after(), kPollRows, std::string_view(holes)};
    const std::int64_t after = tail_.after();
    RD_CO_TRY(rows, co_await connection.run(kPoll, Params(params)));
    hear(rows);
    const auto above = std::ranges::count_if(
        rows.rows, [after](const sql::Row& row) { return row.integer(2) > after; });
    if (above >= kPollRows) continue;
    polled_at_ = began;
    fresh_until_.store((began + kCopiesTrustedFor).ns, std::memory_order_release);
    co_return Result<void>{};
  }
}

void PostgresFollower::hear(const sql::Rows& rows) {
  JournalTail::Poll poll;
  poll.xmin = static_cast<std::uint64_t>(rows[0].integer(0));
  poll.xmax = static_cast<std::uint64_t>(rows[0].integer(1));
  std::map<std::int64_t, const sql::Row*> by_seq;
  for (const sql::Row& row : rows.rows) {
    if (row.is_null(2)) continue;  // Nothing new: the snapshot alone.
    poll.seen.push_back(row.integer(2));
    by_seq.emplace(row.integer(2), &row);
  }
  for (const std::int64_t seq : tail_.take(poll)) {
    const sql::Row& row = *by_seq.at(seq);
    const bool own = row.text(3) == origin_;
    if (own && clock_.boot() >= hears_own_until_) continue;  // Heard when it was committed.
    tell_(JournalEntry{.kind = static_cast<JournalEntry::Kind>(row.integer(5)),
                       .tenant = row.text(4),
                       .key = row.text(6),
                       .value = row.integer(7)});
  }
  if (!tail_.overflowed()) return;
  log_.warn("record.journal_gap");
  tell_(JournalEntry{.kind = JournalEntry::Kind::everything, .tenant = {}, .key = {}});
}

Task<void> PostgresFollower::beat(Connection& connection) {
  const std::int64_t heard = tail_.heard();
  const sql::Param params[] = {std::string_view(origin_), ++heartbeat_, heard};
  RD_CO_TRY(rows, co_await connection.run(kBeat, Params(params)));
  reported_ = heard;
  observe(rows.rows);
  co_return Result<void>{};
}

void PostgresFollower::observe(std::span<const sql::Row> rows) {
  std::vector<InstanceRow> others;
  for (const sql::Row& row : rows) {
    if (!row.is_null(0) && row.text(0) != origin_)
      others.push_back({row.text(0), row.integer(1), row.integer(2)});
  }
  const BootTime now = clock_.boot();
  const std::lock_guard lock(mutex_);
  members_.observe(others, now);
  facts_.instances = members_.running(now) + 1;
}

Task<std::int64_t> PostgresFollower::look_around(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kLookAround));
  observe(rows.rows);
  co_return rows[0].integer(3);
}

bool PostgresFollower::all_heard(std::int64_t seq) const {
  const std::lock_guard lock(mutex_);
  return members_.all_heard(seq, clock_.boot());
}

Task<void> PostgresFollower::clean(Connection& connection) {
  connection.queue(kCleanInstances);
  connection.queue(kCleanLanes);
  RD_CO_CHECK(co_await connection.run(kCleanJournal));
  co_return Result<void>{};
}

PostgresFollower::Facts PostgresFollower::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

}  // namespace redoubt::record
