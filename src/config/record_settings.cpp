#include "config/setting.hpp"

#include <algorithm>
#include <array>

namespace redoubt::config {
namespace {

// What exactly is wrong with it is said when it is used; neither message quotes it.
Parsed<Secret> database_url(std::string_view text) {
  constexpr std::array<std::string_view, 4> kForms{"", "postgresql://", "postgres://", "host="};
  const bool known = std::ranges::any_of(kForms, [text](std::string_view form) {
    return form.empty() ? text.empty() : text.starts_with(form);
  });
  if (!known) return wrong("is not a URL of PostgreSQL: it begins with postgresql://");
  return Secret(std::string(text));
}

}  // namespace

std::vector<Setting> record_settings() {
  const auto record = [](auto field) { return at(&Config::record, field); };
  auto path = path_setting({"record.path",
                            {"REDOUBT_RECORD_PATH"},
                            "The SQLite file. Unless set, redoubt.db in the data directory."},
                           record(&RecordSettings::path));
  auto url = setting(
      {"record.database_url",
       {"REDOUBT_DATABASE_URL", "DATABASE_URL"},
       "The PostgreSQL that keeps the record; unless set, it is kept in SQLite. A server on "
       "another "
       "machine is spoken to over TLS and its certificate verified, unless the URL has another "
       "sslmode."},
      "postgresql://user:password@host:5432/database", record(&RecordSettings::database_url),
      database_url,
      [](const Secret& value) { return std::string(value.empty() ? "not set" : "set"); });
  url.secret = true;
  return {
      std::move(url),
      integer_setting({"record.database_pool_size",
                       {"REDOUBT_DATABASE_POOL_SIZE"},
                       "Connections of this instance to PostgreSQL. A third of them write."},
                      4, 500, record(&RecordSettings::database_pool_size)),
      path_setting({"record.data_dir",
                    {"REDOUBT_DATA_DIR"},
                    "Where everything that must survive is kept. Made when missing."},
                   record(&RecordSettings::data_dir)),
      std::move(path),
      integer_setting({"record.audit_retention_days",
                       {"REDOUBT_AUDIT_RETENTION_DAYS"},
                       "How long the audit trail is kept; 0 is for ever."},
                      0, 36'500, record(&RecordSettings::audit_retention_days)),
  };
}

}  // namespace redoubt::config
