// The strict limits' memory (rd_limit), opaque to the record. One row for each subject that has
// used something of a policy.
#pragma once

#include "sql/sql.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace redoubt::record {

// The texts outlive the call.
struct LimitId {
  std::string_view tenant;
  std::string_view policy;
  std::string_view subject;
};

struct FoundLimit {
  std::optional<Bytes> memory;  // Empty: nothing is used.
  // By one clock for all who share the record: that of the database server, read by this statement.
  // On SQLite, where there is one process, `own`.
  WallTime now;
};

// One read.
Task<FoundLimit> find_limit(sql::Transaction& tx, LimitId id, WallTime own);

// Adds or replaces. One row.
Task<void> put_limit(sql::Transaction& tx, LimitId id, ByteView memory, WallTime full_at);

Task<void> erase_limit(sql::Transaction& tx, LimitId id);

// Deletes at most `batch` rows that were full before `before`; returns how many.
Task<std::int64_t> sweep_limits(sql::Transaction& tx, WallTime before, std::size_t batch);

}  // namespace redoubt::record
