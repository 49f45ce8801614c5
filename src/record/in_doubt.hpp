// Entries of a commit of which nobody knows whether it was made.
#pragma once

#include "record/record.hpp"

namespace redoubt::record {

// As listeners hear it then: that what it names may have changed. Not by which generation of the
// cache: if the commit was not made, another one gets that number, and says something else by it.
inline JournalEntry in_doubt(JournalEntry entry) {
  if (entry.kind == JournalEntry::Kind::cache) entry.value = 0;
  return entry;
}

}  // namespace redoubt::record
