// How this noun's changes and refusals reach the audit trail.
#pragma once

#include "record/record.hpp"

#include <redoubt/context.hpp>

#include <string>
#include <string_view>

namespace redoubt::tenants {

// `tenant`: whose trail it belongs to.
record::AuditEvent audit_event(const Context& context, std::string_view tenant,
                               std::string_view action, std::string_view target);

}  // namespace redoubt::tenants
