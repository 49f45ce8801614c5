#include "record/later_audit.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <span>
#include <utility>

namespace redoubt::record {
namespace {

constexpr std::chrono::minutes kAllowanceFor{1};
constexpr std::size_t kPrincipalsMax = 4096;
constexpr std::size_t kEntriesPerUnit = 64;

Task<void> write_all(Unit& unit, std::span<const AuditEvent> events) {
  for (const AuditEvent& event : events) {
    RD_CO_CHECK(co_await unit.audit(event));
  }
  co_return Result<void>{};
}

}  // namespace

LaterAudit::LaterAudit(const Clock& clock, Metrics& metrics)
    : clock_(clock),
      dropped_(metrics.counter("redoubt_audit_entries_dropped_total",
                               "Refusals over a principal's bound, and entries that found no room "
                               "while the record was away.")) {}

void LaterAudit::note(AuditEvent event) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax) return dropped_.add();
  waiting_.push_back(std::move(event));
}

void LaterAudit::note_denial(AuditEvent event) {
  event.outcome = "denied";
  if (!may_deny(event)) return dropped_.add();
  note(std::move(event));
}

bool LaterAudit::may_deny(const AuditEvent& event) {
  const std::lock_guard lock(mutex_);
  const BootTime now = clock_.boot();
  if (allowances_.size() >= kPrincipalsMax) {
    std::erase_if(allowances_,
                  [now](const auto& a) { return now - a.second.since >= kAllowanceFor; });
    if (allowances_.size() >= kPrincipalsMax) return false;
  }
  const auto [found, fresh] = allowances_.try_emplace(event.tenant + '/' + event.principal);
  Allowance& allowance = found->second;
  if (fresh || now - allowance.since >= kAllowanceFor) allowance = {now, 0};
  return allowance.used++ < kDenialsAMinute;
}

Task<void> LaterAudit::flush(Record& record) {
  std::vector<AuditEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(waiting_);
  }
  std::span<const AuditEvent> left = events;
  while (!left.empty()) {
    const auto chunk = left.first(std::min(left.size(), kEntriesPerUnit));
    std::function<Task<void>(Unit&)> work = [chunk](Unit& unit) { return write_all(unit, chunk); };
    auto written = co_await record.write_unit(std::move(work));
    if (!written) {
      put_back({left.begin(), left.end()});
      co_return written;
    }
    left = left.subspan(chunk.size());
  }
  co_return Result<void>{};
}

void LaterAudit::put_back(std::vector<AuditEvent> events) {
  const std::lock_guard lock(mutex_);
  events.insert(events.end(), std::make_move_iterator(waiting_.begin()),
                std::make_move_iterator(waiting_.end()));
  if (events.size() > kWaitingMax) {
    dropped_.add(events.size() - kWaitingMax);
    events.resize(kWaitingMax);
  }
  waiting_ = std::move(events);
}

}  // namespace redoubt::record
