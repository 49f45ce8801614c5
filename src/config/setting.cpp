#include "config/setting.hpp"

#include <iterator>

namespace redoubt::config {

const std::vector<Setting>& all_settings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> rows;
    for (const auto nouns :
         {crypto_settings, http_settings, record_settings, session_settings, limit_settings,
          cache_settings, redis_settings, upstash_settings, log_settings}) {
      auto part = nouns();
      rows.insert(rows.end(), std::make_move_iterator(part.begin()),
                  std::make_move_iterator(part.end()));
    }
    return rows;
  }();
  return all;
}

}  // namespace redoubt::config
