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
SELECT coalesce(max(generation), 0) FROM rd_cache_generation WHERE tenant = $1)sql"};

constexpr sql::Statement kSweep{R"sql(
DELETE FROM rd_cache_generation WHERE (tenant, name) IN (
  SELECT g.tenant, g.name
  FROM rd_cache_generation g
  JOIN (SELECT tenant, max(generation) AS newest FROM rd_cache_generation GROUP BY tenant) n
    ON n.tenant = g.tenant
  LEFT JOIN rd_cache_generation w ON w.tenant = g.tenant AND w.name = ''
  WHERE g.generation < n.newest
    AND (g.bumped_at_ms < $1 OR g.generation < coalesce(w.generation, 0))
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

Task<std::int64_t> newest_cache_generation(sql::Transaction& tx, std::string tenant) {
  RD_CO_TRY(rows, co_await tx.run(kNewest, {std::string_view(tenant)}));
  co_return rows[0].integer(0);
}

Task<std::int64_t> sweep_cache_generations(sql::Transaction& tx, WallTime before,
                                           std::size_t batch) {
  RD_CO_TRY(rows, co_await tx.run(kSweep, {before.ms, static_cast<std::int64_t>(batch)}));
  co_return rows.changed;
}

}  // namespace redoubt::record
