// Whose fault a refusal is.
#pragma once

#include <redoubt/error.hpp>

namespace redoubt::faces {

// The record could not be asked. What waited for one that is out of reach (`record_cut_off`) may
// know only that its time was over.
inline bool is_of_record(const Error& error, bool record_cut_off) {
  if (error.code == Errc::unavailable) return slug_of(error).starts_with("record_");
  return record_cut_off && slug_of(error) == "deadline_exceeded";
}

}  // namespace redoubt::faces
