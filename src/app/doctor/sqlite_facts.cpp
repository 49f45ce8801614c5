#include "app/doctor/facts.hpp"
#include "app/options.hpp"
#include "base/ids.hpp"
#include "sql/sqlite/connection.hpp"
#include "sql/sqlite/migrate.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace redoubt::app::doctor {
namespace {

using sql::sqlite::Connection;

// Of statfs(2).
constexpr std::array<std::pair<std::uint64_t, std::string_view>, 7> kNetworkFileSystems{
    {{0x6969, "NFS"},
     {0xff534d42, "CIFS"},
     {0xfe534d42, "SMB"},
     {0x517b, "SMB"},
     {0x01021997, "9P"},
     {0x00c36400, "Ceph"},
     {0x5346414f, "AFS"}}};

std::int64_t size_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_size : 0;
}

void look_at_disk(const std::string& directory, diagnostics::SqliteFacts& facts) {
  struct statfs kind {};
  if (::statfs(directory.c_str(), &kind) == 0) {
    const auto magic = static_cast<std::uint64_t>(kind.f_type) & 0xffffffff;
    const auto it = std::ranges::find(kNetworkFileSystems, magic,
                                      &std::pair<std::uint64_t, std::string_view>::first);
    if (it != kNetworkFileSystems.end()) facts.network_file_system = it->second;
  }
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) == 0) {
    facts.free_bytes = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  }
}

std::string words_of(const Error& error) {
  return error.cause.empty() ? error.message : error.message + " (" + error.cause + ")";
}

void look_inside(Connection& connection, diagnostics::SqliteFacts& facts, std::string& identity) {
  const auto ours = connection.is_new_or_of(sql::sqlite::kApplicationId);
  if (!ours) {
    facts.foreign = ours.error().slug == "record_foreign";
    if (!facts.foreign) facts.trouble = words_of(ours.error());
    return;
  }
  const auto checked = connection.run("PRAGMA quick_check(1)");
  if (!checked) {
    facts.damage = words_of(checked.error());
    return;
  }
  const std::string verdict = checked->empty() ? "" : (*checked)[0].text(0);
  facts.damage = verdict == "ok" ? "" : verdict;
  const auto known = connection.run("SELECT bytes FROM rd_meta WHERE name = 'record.identity'");
  if (!known || known->empty()) return;
  const Bytes& bytes = (*known)[0].bytes(0);
  Id128 id{};
  if (bytes.size() != id.size()) return;
  std::ranges::copy(bytes, id.begin());
  identity = format_id("rec_", id);
}

}  // namespace

diagnostics::SqliteFacts gather_sqlite(const config::RecordSettings& record,
                                       std::string& identity) {
  diagnostics::SqliteFacts facts;
  facts.path = record_options(record).path;
  std::error_code ignored;
  std::filesystem::path directory = std::filesystem::absolute(facts.path, ignored).parent_path();
  // Before the first start: of the place where it will be made.
  while (!std::filesystem::exists(directory, ignored) && directory.has_relative_path()) {
    directory = directory.parent_path();
  }
  look_at_disk(directory.string(), facts);
  facts.exists = std::filesystem::exists(facts.path, ignored);
  if (!facts.exists) return facts;
  facts.file_mode = mode_with(facts.path, S_IRGRP | S_IROTH);
  facts.directory_mode = mode_with(directory.string(), S_IWGRP | S_IWOTH);
  facts.database_bytes = size_of(facts.path);
  facts.log_bytes = size_of(facts.path + "-wal");
  sql::sqlite::ConnectionOptions options;
  options.path = facts.path;
  options.mode = sql::sqlite::ConnectionOptions::Mode::reader;
  const auto opened = Connection::open(options);
  if (!opened) {
    facts.trouble = words_of(opened.error());
    return facts;
  }
  look_inside(**opened, facts, identity);
  return facts;
}

}  // namespace redoubt::app::doctor
