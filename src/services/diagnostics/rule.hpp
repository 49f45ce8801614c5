// A rule: a code, what it means, and a pure function that sees it in a case or does not.
//
// Rules are rows of constant tables, so that docs/doctor.md can be held against them. What a case
// does not tell makes no finding.
#pragma once

#include <redoubt/diagnostics.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::diagnostics {

struct Code {
  std::string_view code;
  Severity severity = Severity::info;
  std::string_view means;  // For the table of the documentation.
  std::string_view why;
  std::string_view mend;
};

// What a rule saw.
struct Seen {
  std::string what;
  std::string mend = {};  // In place of the code's, when it can be said more exactly.
};

template <class Case>
struct Rule {
  Code code;
  std::optional<Seen> (*see)(const Case&);
};

Finding finding_of(const Code& code, Seen seen);

// The worst first; else in the order found.
void sort_findings(std::vector<Finding>& findings);

// "ok", "warning" or "critical": information does not count.
std::string_view verdict_of(std::span<const Finding> findings);

template <class Case>
void apply(std::span<const Rule<Case>> rules, const Case& one, std::vector<Finding>& out) {
  for (const Rule<Case>& rule : rules) {
    if (auto seen = rule.see(one)) out.push_back(finding_of(rule.code, std::move(*seen)));
  }
}

}  // namespace redoubt::diagnostics
