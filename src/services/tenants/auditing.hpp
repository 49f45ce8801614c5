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

// A refusal, in a commit of its own. Failing to write it does not change the answer.
boost::asio::awaitable<void> audit_denial(record::Record& record, record::AuditEvent event);

}  // namespace redoubt::tenants
