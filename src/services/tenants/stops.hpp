// Stopping a key or a tenant while the record cannot be written: it is held in this process and
// written later (record/unsaved_stops.hpp).
#pragma once

#include "record/unsaved_stops.hpp"
#include "services/tenants/service.hpp"

namespace redoubt::tenants {

// Holds `stop` because the record failed with `error`; what its author is told.
Error stop_here(record::UnsavedStops& stops, record::UnsavedStop stop, Error error);

// Writes what is held so. What the record refuses for good, as the end of the last admin key, is
// held no longer, and the audit trail has it as denied. Errors: those of the record.
Task<void> save_stops(record::Record& record, record::UnsavedStops& stops,
                      record::LaterAudit& refusals);

}  // namespace redoubt::tenants
