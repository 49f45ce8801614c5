#include "services/cache/units.hpp"

#include "record/cache_rows.hpp"

namespace redoubt::cache {

Task<std::int64_t> bump_unit(record::Unit& unit, std::vector<std::string> names,
                             record::AuditEvent audit, WallTime now) {
  std::int64_t generation = 0;
  for (const std::string& name : names) {
    RD_CO_TRY(next, co_await record::bump_cache_generation(unit, audit.tenant, name, now));
    generation = next;
  }
  if (names.front().empty()) {
    RD_CO_CHECK(co_await unit.audit(audit));
  }
  co_return generation;
}

}  // namespace redoubt::cache
