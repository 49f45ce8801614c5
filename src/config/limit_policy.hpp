// The one-line form of a limit's policy, for redoubt.toml and REDOUBT_LIMIT_<NAME>:
//
//   policy    = rate { word }
//   rate      = count "/" ( duration | "minute" | "hour" | "day" | "month" )
//   word      = "burst" count | algorithm | "soft" | "strict" | away
//   algorithm = "gcra" | "sliding_window" | "sliding_log" | "fixed_window" | "calendar_window"
//   away      = "share" | "refuse" | "open"      of a soft one, while Redis cannot be asked
//
// for example "60/1m burst 10" or "1000/day calendar_window strict". Words come in any order, each
// kind at most once. A unit word goes with calendar_window and only with it; burst goes with gcra
// and is 10 unless told otherwise, or the count where that is smaller.
#pragma once

#include "config/values.hpp"

namespace redoubt::config {

bool is_policy_name(std::string_view name);  // [a-z0-9_.-]{1,64}

Parsed<LimitPolicy> parse_policy(std::string_view name, std::string_view text);

// Every word written out; parse_policy gives the same policy back.
std::string format_policy(const LimitPolicy& policy);

}  // namespace redoubt::config
