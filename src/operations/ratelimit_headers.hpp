// What a decision of the limits says in headers, on answers that are allowed and refused alike:
//
//   RateLimit-Policy: "default";q=10;w=10            draft-ietf-httpapi-ratelimit-headers, RFC 9651
//   RateLimit: "default";r=9;t=1
//   X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset    what most clients read; of the
//                                                    limit that binds; Reset in unix seconds
//   Retry-After                                      seconds; only when refused and worth a retry
//
// q and w of a GCRA limit are its burst and the time that refills it: so r never exceeds q, and q/w
// is the rate. t is when a refused cost would be admitted, or when the limit is full again. Seconds
// are rounded up: coming back at the second is never too early.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>

#include <string>
#include <string_view>

namespace redoubt::operations {

// Nothing when the decision is about no limit.
void add_ratelimit_headers(OperationOutput& output, const LimitDecision& decision, WallTime now);

// The limit of a decision that a client should act upon: the refused one that is longest so, else
// the one with least left. REQUIRES: there are some.
const LimitState& binding_limit(const LimitDecision& decision);

// RFC 9651 section 3.3.3: quoted, with \ before " and \. What a structured string cannot hold
// becomes '?'.
void append_sf_string(std::string& out, std::string_view text);

}  // namespace redoubt::operations
