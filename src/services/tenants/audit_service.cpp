#include "services/tenants/audit_service.hpp"

#include "base/text.hpp"
#include "record/audit.hpp"
#include "services/tenants/auditing.hpp"

#include <functional>
#include <optional>
#include <utility>

namespace redoubt::tenants {
namespace {

constexpr std::size_t kPageMax = 1000;

AuditEntry entry_of(record::AuditEntry row) {
  AuditEntry entry;
  entry.number = row.seq;
  entry.at = row.at;
  entry.tenant = std::move(row.event.tenant);
  entry.principal = std::move(row.event.principal);
  entry.action = std::move(row.event.action);
  entry.target = std::move(row.event.target);
  entry.outcome = std::move(row.event.outcome);
  entry.request_id = std::move(row.event.request_id);
  entry.address = std::move(row.event.address);
  return entry;
}

class AuditService final : public Audit {
 public:
  AuditService(record::Record& record, record::LaterAudit& later)
      : record_(record), later_(later) {}

  void note(const Context& context, std::string_view action, std::string_view target) override {
    later_.note(audit_event(context, context.caller.tenant, action, target));
  }
  void note_refusal(const Context& context, std::string_view action,
                    std::string_view why) override {
    later_.note_denial(audit_event(context, context.caller.tenant, action, why));
  }

  Task<AuditPage> list(const Context& context, std::size_t limit, std::string cursor) override;
  Task<AuditVerdict> verify(const Context& context) override;

 private:
  record::Record& record_;
  record::LaterAudit& later_;
};

Task<AuditPage> AuditService::list(const Context& context, std::size_t limit, std::string cursor) {
  if (limit < 1 || limit > kPageMax) {
    co_return fail(invalid_argument("query.limit", "must be between 1 and 1000", "range"));
  }
  record::AuditQuery query;
  query.tenant = context.caller.tenant;
  query.limit = static_cast<std::int64_t>(limit);
  if (!cursor.empty()) {
    const std::optional<std::int64_t> before = parse_int(cursor);
    if (!before || *before < 1) {
      co_return fail(invalid_argument("query.cursor", "must be the next_cursor of a former page"));
    }
    query.before_seq = *before;
  }
  std::function<Task<record::AuditPage>(sql::Transaction&)> work = [&query](sql::Transaction& tx) {
    return record::list_audit(tx, query);
  };
  RD_CO_TRY(rows, co_await record_.read_by(record::reads_of(context), std::move(work)));
  AuditPage page;
  page.entries.reserve(rows.entries.size());
  for (record::AuditEntry& row : rows.entries) page.entries.push_back(entry_of(std::move(row)));
  if (rows.next_before_seq != 0) page.next_cursor = std::to_string(rows.next_before_seq);
  co_return page;
}

Task<AuditVerdict> AuditService::verify(const Context& /*context*/) {
  RD_CO_TRY(found, co_await record::verify_audit(record_));
  AuditVerdict verdict;
  verdict.intact = found.intact;
  verdict.entries = found.rows;
  verdict.first_broken = found.first_bad;
  verdict.reason = std::move(found.problem);
  verdict.head = found.head.seq;
  verdict.head_hash = to_hex(found.head.hash);
  co_return verdict;
}

}  // namespace

std::unique_ptr<Audit> make_audit(record::Record& record, record::LaterAudit& later) {
  return std::make_unique<AuditService>(record, later);
}

}  // namespace redoubt::tenants
