#include "record/retention.hpp"

#include "base/assert.hpp"
#include "record/audit.hpp"
#include "record/session_rows.hpp"

#include <optional>
#include <utility>

namespace redoubt::record {
namespace {

constexpr Duration kWallAheadMax = std::chrono::hours(1);

}  // namespace

RetentionClass audit_retention(Duration keep) {
  RetentionClass rows;
  rows.name = "audit";
  rows.keep = keep;
  rows.trim = [](Unit& unit, WallTime cutoff, std::int64_t batch) {
    return trim_audit(unit, cutoff, batch);
  };
  return rows;
}

RetentionClass user_epoch_retention(Duration keep) {
  RetentionClass rows;
  rows.name = "user_epochs";
  rows.keep = keep;
  rows.trim = [](Unit& unit, WallTime cutoff, std::int64_t batch) {
    return forget_user_epochs(unit, cutoff, batch);
  };
  return rows;
}

Retention::Retention(Record& record, Clock& clock, Log& log, Metrics& metrics)
    : record_(record),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      wall_at_start_(clock.wall()),
      boot_at_start_(clock.boot()) {}

// How much more the wall clock moved than time did.
Duration Retention::wall_ahead() const {
  const auto passed = std::chrono::duration_cast<Duration>(clock_.boot() - boot_at_start_);
  return clock_.wall() - wall_at_start_ - passed;
}

void Retention::add(RetentionClass rows) {
  Counter& deleted =
      metrics_.counter("redoubt_record_retention_rows_total",
                       "Rows deleted because their time was up.", {{"class", rows.name}});
  entries_.push_back(Entry{std::move(rows), &deleted});
}

Task<std::int64_t> Retention::run_once(std::int64_t batch) {
  RD_ASSERT(batch > 0, "a batch of no rows would never end");
  const WallTime now = clock_.wall();
  if (const Duration ahead = wall_ahead(); ahead > kWallAheadMax) {
    log_.warn("record.retention_skipped",
              {{"reason", "the wall clock jumped ahead"}, {"ahead_ms", ahead.count()}});
    co_return 0;
  }
  std::int64_t total = 0;
  std::optional<Error> first_error;
  for (Entry& entry : entries_) {
    if (entry.rows.keep <= Duration::zero()) continue;
    const Result<std::int64_t> count = co_await trim(entry, now - entry.rows.keep, batch);
    if (count) {
      total += *count;
      continue;
    }
    log_.warn("record.retention_failed",
              {{"class", entry.rows.name}, {"cause", count.error().cause}});
    if (!first_error) first_error = count.error();
  }
  if (first_error) co_return fail(*std::move(first_error));
  co_return total;
}

Task<std::int64_t> Retention::trim(Entry& entry, WallTime cutoff, std::int64_t batch) {
  std::int64_t total = 0;
  for (;;) {
    std::function<Task<std::int64_t>(Unit&)> work = [&entry, cutoff, batch](Unit& unit) {
      return entry.rows.trim(unit, cutoff, batch);
    };
    RD_CO_TRY(count, co_await record_.write<std::int64_t>(work));
    entry.deleted->add(static_cast<std::uint64_t>(count));
    total += count;
    if (count < batch) break;
  }
  if (total > 0) log_.info("record.rows_expired", {{"class", entry.rows.name}, {"rows", total}});
  co_return total;
}

}  // namespace redoubt::record
