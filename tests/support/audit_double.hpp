// An audit trail that remembers what it was told.
#pragma once

#include <redoubt/audit.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace redoubt::test {

class AuditDouble final : public Audit {
 public:
  void note(const Context&, std::string_view action, std::string_view target) override {
    noted.push_back(std::string(action) + " " + std::string(target));
  }
  void note_refusal(const Context& context, std::string_view action,
                    std::string_view why) override {
    note(context, action, why);
  }
  Task<AuditPage> list(const Context&, std::size_t, std::string) override {
    AuditPage page;
    page.entries.emplace_back().action = "tenant.created";
    co_return page;
  }
  Task<AuditVerdict> verify(const Context&) override { co_return AuditVerdict{}; }

  std::vector<std::string> noted;
};

}  // namespace redoubt::test
