// `redoubt serve`: open, listen, run until told to stop, and stop without losing a request.
//
//   SIGTERM, SIGINT   drain: readiness fails at once, listeners close after the shutdown delay,
//   open
//                     requests finish within the drain deadline. A second one cuts them.
//   SIGHUP            the key ring's file, the TLS files and the configuration are read again; of
//                     the last, what may change while the server runs takes effect (reload.hpp)
#pragma once

#include "config/load.hpp"

#include <functional>

namespace redoubt::app {

// The exit status: 0 after a stop that was asked for; 1 when the start failed, or when requests had
// to be cut at the stop (said on stderr). `read_again`: the configuration, from the same sources.
int serve(const config::Loaded& loaded, std::function<Result<config::Loaded>()> read_again);

}  // namespace redoubt::app
