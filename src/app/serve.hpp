// `redoubt serve`: open, listen, run until told to stop, and stop without losing a request.
//
//   SIGTERM, SIGINT   drain: readiness fails at once, listeners close after the shutdown delay,
//   open
//                     requests finish within the drain deadline. A second one cuts them.
//   SIGHUP            the key ring's file and the TLS files are read again
#pragma once

#include "config/config.hpp"

namespace redoubt::app {

// The exit status: 0 after a stop that was asked for; 1 when the start failed, or when requests had
// to be cut at the stop (said on stderr).
int serve(const config::Config& config);

}  // namespace redoubt::app
