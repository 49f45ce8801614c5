#include "sql/migrations.hpp"

#include "base/bytes.hpp"
#include "base/crypto.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace redoubt::sql {
namespace {

constexpr std::string_view kCompatible = "-- compatible with ";

Error refusal(std::string slug, std::string message) {
  return Error(Errc::conflict, std::move(slug), std::move(message));
}

Result<NumberedMigration> numbered(const Migration& migration) {
  NumberedMigration out{0, migration, to_hex(sha256(as_bytes(migration.text))), 0};
  const std::string_view name = migration.name;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), out.number);
  if (error != std::errc{} || out.number <= 0 || end == name.data() + name.size() || *end != '_') {
    return fail(internal(fmt::format("migration without a number: {}", name)));
  }
  out.compatible_with = out.number;
  if (migration.text.starts_with(kCompatible)) {
    const std::string_view rest = migration.text.substr(kCompatible.size());
    std::from_chars(rest.data(), rest.data() + rest.size(), out.compatible_with);
  }
  return out;
}

using Known = std::map<std::int64_t, NumberedMigration>;

Result<void> compare(const AppliedMigration& was, const Known& known) {
  const auto ours = known.find(was.number);
  if (ours == known.end()) {
    const std::int64_t newest = known.empty() ? 0 : known.rbegin()->first;
    if (was.number > newest && was.compatible_with > 0 && was.compatible_with <= newest) return {};
    return fail(refusal("record_newer",
                        fmt::format("The database has the schema change {} ({}), which this "
                                    "version does not know. Run the newer version, or restore a "
                                    "backup made before the upgrade.",
                                    was.number, was.name)));
  }
  if (ours->second.checksum == was.checksum) return {};
  return fail(refusal("record_changed",
                      fmt::format("The schema change {} is not the one this database was made "
                                  "with ({}): the program was built from altered sources.",
                                  ours->second.migration.name, was.name)));
}

}  // namespace

Result<std::vector<NumberedMigration>> missing_migrations(
    std::span<const Migration> known, std::span<const AppliedMigration> applied) {
  Known missing;
  for (const Migration& migration : known) {
    RD_TRY(with_number, numbered(migration));
    const std::int64_t number = with_number.number;
    if (!missing.emplace(number, std::move(with_number)).second) {
      return fail(internal(fmt::format("two migrations have the number {}", number)));
    }
  }
  std::int64_t newest_applied = 0;
  for (const AppliedMigration& was : applied) {
    RD_CHECK(compare(was, missing));
    newest_applied = std::max(newest_applied, was.number);
  }
  for (const AppliedMigration& was : applied) missing.erase(was.number);

  std::vector<NumberedMigration> out;
  for (auto& [number, migration] : missing) {
    if (number < newest_applied) {
      return fail(refusal("record_changed",
                          fmt::format("The database lacks the schema change {} but has later ones: "
                                      "the program was built from altered sources.",
                                      migration.migration.name)));
    }
    out.push_back(std::move(migration));
  }
  return out;
}

}  // namespace redoubt::sql
