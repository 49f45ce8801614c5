#include "services/tenants/auditing.hpp"

#include <functional>
#include <utility>

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

boost::asio::awaitable<void> audit_denial(record::Record& record, record::AuditEvent event) {
  event.outcome = "denied";
  std::function<Task<void>(record::Unit&)> work = [&event](record::Unit& unit) {
    return unit.audit(event);
  };
  static_cast<void>(co_await record.write_unit(std::move(work)));
}

}  // namespace redoubt::tenants
