// The directory that everything durable is in.
#pragma once

#include "base/log.hpp"

#include <redoubt/result.hpp>

#include <string>

namespace redoubt::app {

// Makes it when it is not there, for this user alone and down to the disk. One that is there keeps
// its mode, which somebody chose; when others may write to it, the log says so.
// Errors: unavailable "data_dir".
Result<void> make_data_dir(const std::string& path, Log& log);

}  // namespace redoubt::app
