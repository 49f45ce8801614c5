// The record on SQLite: one writer thread that commits concurrent units together, and read
// connections that run on whatever thread asks.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace redoubt::record {

inline constexpr std::string_view kTemporary = ":memory:";

struct SqliteRecordOptions {
  // The database file; kTemporary: a new one that goes away with the record and promises no
  // durability.
  std::string path;
  std::size_t batch_units_max = 256;     // Units in one transaction.
  std::size_t queue_units_max = 16'384;  // Waiting units; more are refused ("record_overloaded").
  // Pages in the write-ahead log from which it is copied into the database, after the batch's
  // callers have been answered. Larger: fewer syncs; smaller: shorter pauses.
  std::int64_t checkpoint_pages = 2'000;
  std::int64_t pages_max = 0;  // The database never grows beyond it (4 KiB each); 0: no bound.
  std::string vfs = {};        // SQLite's file layer by name; empty: the default.
};

// Opens, takes the database for this process, and brings its schema up to date.
// Errors: sentences for the operator. conflict "record_in_use", "record_foreign", "record_newer",
// "record_changed"; unavailable "record_unavailable" when the file cannot be made or written.
Result<std::unique_ptr<Record>> open_sqlite_record(const SqliteRecordOptions& options, Clock& clock,
                                                   Log& log, Metrics& metrics);

}  // namespace redoubt::record
