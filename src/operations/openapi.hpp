// The OpenAPI 3.1 document of a registry. Whatever it says comes from the declarations: there is no
// text here about any one operation.
#pragma once

#include "operations/operation.hpp"

#include <string>
#include <string_view>

namespace redoubt::operations {

struct OpenApiOptions {
  std::string_view title = "Redoubt";
  std::string_view version;
  std::string_view server_url = "/";
};

// JSON text. Operations are in the order in which they were added.
std::string openapi_document(const Registry& registry, const OpenApiOptions& options);

}  // namespace redoubt::operations
