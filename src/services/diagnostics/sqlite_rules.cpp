#include "services/diagnostics/record_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace redoubt::diagnostics {
namespace {

using enum Severity;
using See = std::optional<Seen>;

constexpr std::int64_t kMebibyte = 1 << 20;
constexpr std::int64_t kFull = 64 * kMebibyte;
constexpr std::int64_t kLow = 1024 * kMebibyte;
constexpr std::int64_t kLogLarge = 256 * kMebibyte;

See missing(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->exists) return std::nullopt;
  return Seen{"there is no " + c.sqlite->path + " yet; the first start makes it"};
}

See unusable(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->trouble.empty()) return std::nullopt;
  return Seen{fmt::format("{} cannot be used: {}", c.sqlite->path, c.sqlite->trouble)};
}

See foreign(const RecordCase& c) {
  if (c.sqlite == nullptr || !c.sqlite->foreign) return std::nullopt;
  return Seen{c.sqlite->path + " is another program's database"};
}

See damaged(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->damage.value_or("").empty()) return std::nullopt;
  return Seen{fmt::format("{} is damaged: {}", c.sqlite->path, *c.sqlite->damage)};
}

See readable(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->file_mode.empty()) return std::nullopt;
  return Seen{fmt::format("{} has mode {}", c.sqlite->path, c.sqlite->file_mode),
              "chmod go= " + c.sqlite->path + "*"};
}

See directory_writable(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->directory_mode.empty()) return std::nullopt;
  return Seen{
      fmt::format("the directory of {} has mode {}", c.sqlite->path, c.sqlite->directory_mode)};
}

See network(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->network_file_system.empty()) return std::nullopt;
  return Seen{fmt::format("{} is on {}", c.sqlite->path, c.sqlite->network_file_system)};
}

See disk_full(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->free_bytes.value_or(kFull) >= kFull) return std::nullopt;
  return Seen{fmt::format("{} MiB are free on the disk of {}", *c.sqlite->free_bytes / kMebibyte,
                          c.sqlite->path)};
}

See disk_low(const RecordCase& c) {
  if (c.sqlite == nullptr || disk_full(c)) return std::nullopt;
  // A copy of the database must fit: backups and migrations make one.
  const std::int64_t wanted = std::max(kLow, c.sqlite->database_bytes);
  if (c.sqlite->free_bytes.value_or(wanted) >= wanted) return std::nullopt;
  return Seen{fmt::format("{} MiB are free on the disk of {}", *c.sqlite->free_bytes / kMebibyte,
                          c.sqlite->path)};
}

See log_large(const RecordCase& c) {
  if (c.sqlite == nullptr || c.sqlite->log_bytes <= kLogLarge) return std::nullopt;
  return Seen{fmt::format("the write-ahead log of {} has {} MiB", c.sqlite->path,
                          c.sqlite->log_bytes / kMebibyte)};
}

constexpr std::array kRules{
    RecordRule{{"record_missing", info, "The record's file is not there.",
                "That is so before the first start; after it, data is gone.",
                "nothing before the first start; else restore a backup, or set REDOUBT_DATA_DIR"},
               missing},
    RecordRule{
        {"record_unusable", critical, "The record's file cannot be opened or read.",
         "The server does not start with it.",
         "chown the data directory to the account of the server; see the words of the error"},
        unusable},
    RecordRule{{"record_foreign", critical, "The record's file is another program's.",
                "The server does not start with it, and changes nothing in it.",
                "set REDOUBT_DATA_DIR or the record's path to a place of its own"},
               foreign},
    RecordRule{{"record_damaged", critical, "SQLite finds the file damaged.",
                "Some reads and writes fail, and what they say may be wrong.",
                "stop the server, keep the files, restore a backup"},
               damaged},
    RecordRule{{"record_readable_by_others", warning, "Other accounts may read the record.",
                "Payloads are sealed and tokens hashed in it, but who has sessions is not.",
                "chmod go= <data directory>/redoubt.db*"},
               readable},
    RecordRule{
        {"data_dir_writable_by_others", critical, "Other accounts may write in the data directory.",
         "They can put files of their own in the place of the record and of the keys.",
         "chmod go-w <data directory>"},
        directory_writable},
    RecordRule{{"record_on_network", critical, "The record is on a network file system.",
                "SQLite's locks and shared memory do not hold there: the file can be destroyed.",
                "set REDOUBT_DATA_DIR to a local disk, or use PostgreSQL: DATABASE_URL"},
               network},
    RecordRule{{"record_disk_full", critical, "Less than 64 MiB of disk are free.",
                "Soon nothing can be written: no session begins or ends.",
                "free disk space; writes come back by themselves"},
               disk_full},
    RecordRule{
        {"record_disk_low", warning, "Less disk is free than 1 GiB, or than the record takes.",
         "There is no room for a backup beside it.", "free disk space"},
        disk_low},
    RecordRule{{"record_log_large", warning, "The write-ahead log has more than 256 MiB.",
                "A reader has held it for long, and every read gets slower.",
                "end other programs that have the file open (fuser <file>); a restart empties it"},
               log_large},
};

}  // namespace

std::span<const RecordRule> sqlite_rules() {
  return kRules;
}

std::vector<Finding> examine_record(const RecordCase& one) {
  std::vector<Finding> findings;
  apply(sqlite_rules(), one, findings);
  apply(postgres_rules(), one, findings);
  for (Finding& finding : findings) finding.section = "record";
  sort_findings(findings);
  return findings;
}

}  // namespace redoubt::diagnostics
