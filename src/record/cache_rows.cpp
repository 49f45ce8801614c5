#include "record/cache_rows.hpp"

#include <string_view>
#include <utility>

namespace redoubt::record {
namespace {

constexpr sql::Statement kBump{R"sql(
INSERT INTO rd_cache_generation (tenant, name, generation, bumped_at_ms)
VALUES ($1, $2,
        1 + (SELECT coalesce(max(generation), 0) FROM rd_cache_generation WHERE tenant = $1), $3)
ON CONFLICT (tenant, name) DO UPDATE
SET generation = excluded.generation, bumped_at_ms = excluded.bumped_at_ms
RETURNING generation)sql"};

constexpr sql::Statement kNewest{R"sql(
SELECT name, generation, bumped_at_ms FROM rd_cache_generation
WHERE tenant = $1
ORDER BY generation DESC
LIMIT $2)sql"};

// Both are index ranges: what a cleared cache made meaningless, and what is old.
constexpr sql::Statement kDeleteCleared{
    // CROSS JOIN is how SQLite is told which table comes first.
    .text = R"sql(
DELETE FROM rd_cache_generation WHERE (tenant, name) IN (
  SELECT g.tenant, g.name
  FROM rd_cache_generation w
  CROSS JOIN rd_cache_generation g ON g.tenant = w.tenant AND g.generation < w.generation
  WHERE w.name = ''
  LIMIT $1))sql",
    .postgres = R"sql(
DELETE FROM rd_cache_generation WHERE (tenant, name) IN (
  SELECT g.tenant, g.name
  FROM rd_cache_generation w
  JOIN rd_cache_generation g ON g.tenant = w.tenant AND g.generation < w.generation
  WHERE w.name = ''
  LIMIT $1))sql"};

constexpr sql::Statement kDeleteOld{R"sql(
DELETE FROM rd_cache_generation WHERE (tenant, name) IN (
  SELECT g.tenant, g.name
  FROM rd_cache_generation g
  WHERE g.bumped_at_ms < $1
    AND g.generation < (SELECT max(generation) FROM rd_cache_generation WHERE tenant = g.tenant)
  ORDER BY g.bumped_at_ms
  LIMIT $2))sql"};

}  // namespace

Task<std::int64_t> bump_cache_generation(Unit& unit, std::string tenant, std::string name,
                                         WallTime now) {
  RD_CO_TRY(rows,
            co_await unit.run(kBump, {std::string_view(tenant), std::string_view(name), now.ms}));
  const std::int64_t generation = rows[0].integer(0);
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::cache,
                             .tenant = std::move(tenant),
                             .key = std::move(name),
                             .value = generation});
  co_return generation;
}

Task<std::vector<CacheGenerationRow>> newest_cache_generations(sql::Transaction& tx,
                                                               std::string tenant,
                                                               std::size_t limit) {
  const auto most = static_cast<std::int64_t>(limit);
  RD_CO_TRY(rows, co_await tx.run(kNewest, {std::string_view(tenant), most}));
  std::vector<CacheGenerationRow> newest;
  newest.reserve(rows.size());
  for (const sql::Row& row : rows.rows) {
    newest.push_back({.name = std::string(row.text(0)),
                      .generation = row.integer(1),
                      .bumped_at = WallTime{row.integer(2)}});
  }
  co_return newest;
}

Task<std::int64_t> sweep_cache_generations(sql::Transaction& tx, WallTime before,
                                           std::size_t batch) {
  const auto most = static_cast<std::int64_t>(batch);
  RD_CO_TRY(cleared, co_await tx.run(kDeleteCleared, {most}));
  const std::int64_t rest = most - cleared.changed;
  if (rest <= 0) co_return cleared.changed;
  RD_CO_TRY(old, co_await tx.run(kDeleteOld, {before.ms, rest}));
  co_return cleared.changed + old.changed;
}

}  // namespace redoubt::record
