#include "services/tenants/auditing.hpp"

namespace redoubt::tenants {

record::AuditEvent audit_event(const Context& context, std::string_view tenant,
                               std::string_view action, std::string_view target) {
  record::AuditEvent event;
  event.tenant = tenant;
  event.principal = context.caller.principal;
  event.action = action;
  event.target = target;
  event.request_id = context.request_id;
  event.address = context.client_address;
  return event;
}

}  // namespace redoubt::tenants
