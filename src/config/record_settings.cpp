#include "config/setting.hpp"

namespace redoubt::config {

std::vector<Setting> record_settings() {
  const auto record = [](auto field) { return at(&Config::record, field); };
  auto path = path_setting({"record.path",
                            {"REDOUBT_RECORD_PATH"},
                            "The SQLite file. Unless set, redoubt.db in the data directory."},
                           record(&RecordSettings::path));
  return {
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
