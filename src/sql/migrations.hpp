// Schema changes, numbered, and which of them a database lacks. The engines apply them.
#pragma once

#include <redoubt/result.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sql {

struct Migration {
  std::string_view name;  // "0001_core.sql": its number, then what it is about.
  std::string_view text;  // "-- compatible with 3" in its first line: see compatible_with.
};

struct NumberedMigration {
  std::int64_t number = 0;
  Migration migration;
  std::string checksum;
  // The oldest program that can go on with the changed schema, as the newest number it knows; the
  // change's own number unless its first line says otherwise.
  std::int64_t compatible_with = 0;
};

struct AppliedMigration {
  std::int64_t number = 0;
  std::string name;
  std::string checksum;
  std::int64_t compatible_with = 0;
};

// Those of `known` that `applied` lacks, in order. Refused, with a sentence for the operator: a
// database that a newer program has changed beyond us (conflict "record_newer"), or one whose
// applied changes differ from ours ("record_changed").
Result<std::vector<NumberedMigration>> missing_migrations(
    std::span<const Migration> known, std::span<const AppliedMigration> applied);

}  // namespace redoubt::sql
