#pragma once

#include "record/later_audit.hpp"
#include "record/record.hpp"

#include <redoubt/audit.hpp>

#include <memory>

namespace redoubt::tenants {

std::unique_ptr<Audit> make_audit(record::Record& record, record::LaterAudit& later);

}  // namespace redoubt::tenants
