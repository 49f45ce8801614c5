// The memory of a strict limit as bytes in the record. Version 1, integers big-endian:
//
//   0x01 | algorithm (1) | limit (8) | period (8) | fields
//   gcra            TAT: whole ns (8) and the rest of it in 1/limit ns (8)
//   sliding_window  start ns (8) | current (8) | previous (8)
//   sliding_log     { at ns (8) | cost (8) }, oldest first
//   *_window        start ns (8) | used (8)
//
// A period is 0 for a calendar month. Memory of another algorithm or period is not of this limit:
// the policy was changed in the configuration, and starts full. A changed limit or burst keeps what
// was used.
#pragma once

#include "base/bytes.hpp"
#include "local/limit_algorithms.hpp"

#include <redoubt/result.hpp>

namespace redoubt::limits {

Bytes encode_memory(const local::LimitRule& rule, const local::LimitMemory& memory);

// Errors: internal when the bytes are not what encode_memory writes.
Result<local::LimitMemory> decode_memory(const local::LimitRule& rule, ByteView bytes);

}  // namespace redoubt::limits
