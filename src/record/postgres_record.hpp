// The record on PostgreSQL: a thread of its own carries all its connections.
//
//   lanes      write: each commits one batch of concurrent units at a time
//   pool       reads: one connection per running read, whose work runs on the calling thread
//   follower   the journal of all instances, this one's heartbeat, who else runs
//
// Needs no extension and no superuser: a role that owns its database or schema. LISTEN is not used;
// sessions are (advisory locks in transactions, prepared statements), so a pooler between must give
// each connection a session of its own.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/secret.hpp>

#include <cstddef>
#include <memory>

namespace redoubt::record {

struct PostgresRecordOptions {
  Secret url;  // "postgresql://user:password@host:5432/database?sslmode=verify-full"
  std::size_t connections_max = 12;      // At least 4: a third writes, the rest reads but one.
  std::size_t batch_units_max = 64;      // Units in one transaction.
  std::size_t queue_units_max = 16'384;  // Waiting units; more are refused ("record_overloaded").
  Duration connect_timeout{5'000};
  Duration pool_wait{1'000};       // How long a read waits for a connection.
  Duration reply_timeout{8'000};  // How long the server may be silent.
  Duration poll_interval{200};     // Of the journal.
  // Strict limits go by this process's clock and not by the server's: for tests that move time.
  bool limits_by_own_clock = false;
};

// Connects, brings the schema up to date, and joins the instances that run.
// Errors: sentences for the operator. invalid_argument for the URL; conflict "record_newer",
// "record_changed"; unavailable "record_unavailable" when the database cannot be reached.
Result<std::unique_ptr<Record>> open_postgres_record(const PostgresRecordOptions& options,
                                                     Clock& clock, Log& log, Metrics& metrics);

}  // namespace redoubt::record
