// The value of Idempotency-Key: a quoted string (RFC 8941 3.3.3), as
// draft-ietf-httpapi-idempotency-key-header has it, or the same without quotes, as many send it.
//
//   "8e03978e-40d5"    8e03978e-40d5    are the same key
#pragma once

#include <redoubt/result.hpp>

#include <string>
#include <string_view>

namespace redoubt::operations {

// Errors: invalid_argument that names the header.
Result<std::string> parse_idempotency_key(std::string_view value);

}  // namespace redoubt::operations
