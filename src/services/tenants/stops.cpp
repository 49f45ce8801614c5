#include "services/tenants/stops.hpp"

#include "services/tenants/units.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace redoubt::tenants {
namespace {

using record::UnsavedStop;

// So that other writers never wait long for them.
constexpr std::size_t kStopsPerUnit = 64;

Task<void> save_one(record::Unit& unit, const UnsavedStop& stop) {
  if (stop.kind == UnsavedStop::Kind::tenant) {
    RD_CO_CHECK(co_await change_tenant_unit(unit, Standing::disabled, stop.audit, stop.at));
  } else {
    RD_CO_CHECK(co_await revoke_key_unit(unit, stop.audit, stop.at));
  }
  co_return Result<void>{};
}

// Returns those that are refused for good.
Task<std::vector<record::AuditEvent>> save_unit(record::Unit& unit,
                                                const std::vector<UnsavedStop>& stops) {
  std::vector<record::AuditEvent> refused;
  for (const UnsavedStop& stop : stops) {
    auto saved = co_await save_one(unit, stop);
    if (saved) continue;
    const Errc code = saved.error().code;
    if (code != Errc::conflict && code != Errc::not_found) {
      co_return fail(std::move(saved).error());
    }
    refused.push_back(stop.audit);
  }
  co_return refused;
}

}  // namespace

Error stop_here(record::UnsavedStops& stops, UnsavedStop stop, Error error) {
  if (stops.add(std::move(stop))) {
    error.message +=
        " This server refuses what was to be stopped from now on, and records it when it can.";
  }
  return error;
}

Task<void> save_stops(record::Record& record, record::UnsavedStops& stops,
                      record::LaterAudit& refusals) {
  for (;;) {
    const std::vector<UnsavedStop> some = stops.take(kStopsPerUnit);
    if (some.empty()) co_return Result<void>{};
    std::function<Task<std::vector<record::AuditEvent>>(record::Unit&)> work =
        [&some](record::Unit& unit) { return save_unit(unit, some); };
    auto refused = co_await record.write(std::move(work));
    if (!refused) {
      stops.put_back(some);
      co_return fail(std::move(refused).error());
    }
    stops.saved(some);
    for (record::AuditEvent& event : *refused) refusals.note_denial(std::move(event));
  }
}

}  // namespace redoubt::tenants
