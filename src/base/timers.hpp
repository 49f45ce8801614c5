// Timers over an io_context, and virtual ones for tests.
#pragma once

#include <redoubt/timers.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace redoubt {

// Real time on `executor`.
std::unique_ptr<Timers> make_timers(boost::asio::any_io_executor executor);

}  // namespace redoubt
