// `redoubt doctor`: what is wrong with this installation, or soon will be, and the command that
// mends it. Needs no running server, changes nothing, and asks what the configuration names: the
// record, the key ring, Redis, the ports. docs/doctor.md lists every code.
#pragma once

#include "app/doctor/facts.hpp"
#include "config/load.hpp"

#include <redoubt/result.hpp>

namespace redoubt::app {

// Prints a line or two per finding, or one JSON object. Returns 0 unless a finding is critical:
// then kExitDegraded, and kExitConfig when the configuration does not load.
int run_doctor(const Result<config::Loaded>& loaded, const doctor::Sources& sources, bool as_json);

}  // namespace redoubt::app
