#include "services/diagnostics/host_rules.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace redoubt::diagnostics {
namespace {

constexpr const char* kPath = SOURCE_DIRECTORY "/docs/doctor.md";
constexpr std::string_view kBegin = "| code | severity | it means | why it matters | do |\n";

std::string in_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

std::string table() {
  std::string out(kBegin);
  out += "|---|---|---|---|---|\n";
  for (const Code& code : all_codes()) {
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", code.code, severity_name(code.severity),
                       in_cell(code.means), in_cell(code.why), in_cell(code.mend));
  }
  return out;
}

std::string page() {
  std::ostringstream text;
  text << std::ifstream(kPath, std::ios::binary).rdbuf();
  return text.str();
}

TEST(DoctorPage, HasTheTableThatTheCodeHas) {
  std::string text = page();
  const std::size_t begin = text.find(kBegin);
  ASSERT_NE(begin, std::string::npos) << kPath << " has no table";
  const std::size_t end = std::min(text.find("\n\n", begin), text.size() - 1) + 1;
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    text.replace(begin, end - begin, table());
    std::ofstream(kPath, std::ios::binary) << text;
    return;
  }
  EXPECT_EQ(text.substr(begin, end - begin), table())
      << "make the table anew: UPDATE_GOLDEN=1 diagnostics_tests";
}

TEST(DoctorCodes, AreEachOfOneRuleAndSayWhatToDo) {
  std::set<std::string_view> seen;
  for (const Code& code : all_codes()) {
    EXPECT_TRUE(seen.insert(code.code).second) << code.code;
    EXPECT_FALSE(code.means.empty() || code.why.empty() || code.mend.empty()) << code.code;
  }
  EXPECT_GE(seen.size(), 90u);
}

}  // namespace
}  // namespace redoubt::diagnostics
