// The operations' declarations without a server: the same registry over a temporary record.
#pragma once

#include "operations/operation.hpp"

#include <functional>

namespace redoubt::app {

// Calls `use` with the registry; its exit status is returned.
int with_declarations(const std::function<int(const operations::Registry&)>& use);

}  // namespace redoubt::app
