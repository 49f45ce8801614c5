#include "services/diagnostics/rule.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::diagnostics {

Finding finding_of(const Code& code, Seen seen) {
  return {.code = std::string(code.code),
          .severity = code.severity,
          .what = std::move(seen.what),
          .why = std::string(code.why),
          .mend = seen.mend.empty() ? std::string(code.mend) : std::move(seen.mend),
          .section = {}};
}

void sort_findings(std::vector<Finding>& findings) {
  std::vector<Finding> sorted;
  sorted.reserve(findings.size());
  for (const Severity severity : {Severity::critical, Severity::warning, Severity::info}) {
    for (Finding& finding : findings) {
      if (finding.severity == severity) sorted.push_back(std::move(finding));
    }
  }
  findings = std::move(sorted);
}

std::string_view verdict_of(std::span<const Finding> findings) {
  Severity worst = Severity::info;
  for (const Finding& finding : findings) worst = std::max(worst, finding.severity);
  return worst == Severity::info ? "ok" : severity_name(worst);
}

}  // namespace redoubt::diagnostics
