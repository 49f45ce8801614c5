// What is wrong with the place the record is in. Pure functions.
#pragma once

#include "services/diagnostics/reach.hpp"
#include "services/diagnostics/rule.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace redoubt::diagnostics {

struct SqliteFacts {
  std::string path;
  bool exists = false;                     // Of the file.
  bool served = false;                     // A server has it now.
  std::string trouble;                     // Why it cannot be opened or read; empty: it can.
  bool foreign = false;                    // Another program's database.
  std::optional<std::string> damage;       // What quick_check says; empty text: nothing.
  std::string file_mode;                   // "0644", when others may read it; else empty.
  std::string directory_mode;              // "0777", when others may write in it; else empty.
  std::string network_file_system;         // "NFS", when it is one; else empty.
  std::optional<std::int64_t> free_bytes;  // Of the file system.
  std::int64_t database_bytes = 0;
  std::int64_t log_bytes = 0;  // Of the write-ahead log.
};

struct PostgresFacts {
  bool reached = false;
  std::string name;     // host:port/database
  std::string trouble;  // Why it is not reached.
  Reach reach = Reach::loopback;
  std::optional<std::int64_t> version;  // 150004
  std::optional<bool> fsync;
  std::optional<std::string> synchronous_commit;
  std::optional<bool> full_page_writes;
  std::optional<bool> read_only;  // A standby, or read-only by default.
  std::optional<bool> superuser;
  std::optional<bool> bypasses_rls;
  std::optional<bool> tls;
  bool tls_verified = true;
  std::optional<std::int64_t> connections_max;  // Of everybody but superusers;
  std::optional<std::int64_t> connections;      // in use now.
  std::int64_t connections_wanted = 0;          // By one instance of ours.
  std::optional<Duration> clock_ahead;
};

struct RecordCase {
  const SqliteFacts* sqlite = nullptr;  // One of the two is not null.
  const PostgresFacts* postgres = nullptr;
};

using RecordRule = Rule<RecordCase>;
std::span<const RecordRule> sqlite_rules();
std::span<const RecordRule> postgres_rules();

std::vector<Finding> examine_record(const RecordCase& one);

}  // namespace redoubt::diagnostics
