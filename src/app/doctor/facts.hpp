// What the doctor looks at, gathered on this machine and without a server. Nothing is changed.
#pragma once

#include "config/load.hpp"
#include "services/diagnostics/host_rules.hpp"
#include "services/diagnostics/record_rules.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <boost/asio/io_context.hpp>

#include <string>

namespace redoubt::app::doctor {

struct Sources {
  std::string config_file;  // Where settings were read from, as far as they are there.
  std::string dotenv_file;
};

// Settings, keys, and whether the ports can be had: each is bound and let go, and who has it is
// asked over HTTP.
diagnostics::HostFacts gather_host(const config::Loaded& loaded, const Sources& sources);

// "0644", when `path` is there and `bits` of its mode are set; else empty.
std::string mode_with(const std::string& path, unsigned bits);

// `identity` becomes that of the record, when it can be read.
diagnostics::SqliteFacts gather_sqlite(const config::RecordSettings& record, std::string& identity);
diagnostics::PostgresFacts gather_postgres(const config::RecordSettings& record, const Clock& clock,
                                           boost::asio::io_context& io, std::string& identity);

}  // namespace redoubt::app::doctor
