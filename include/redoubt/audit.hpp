// Audit: who did what, in order, in a chain of hashes that shows any later change to it.
//
// Threads: any.
// Errors: every function may return unavailable; the rest are listed per function.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

struct AuditEntry {
  std::int64_t number = 0;  // 1, 2, 3 ... without gaps, over all tenants.
  WallTime at;
  std::string tenant;
  std::string principal;  // "key:<id>", "user:<id>", "system:<part>".
  std::string action;     // "session.revoked", "api_key.created".
  std::string target;     // What it was done to; never a secret.
  std::string outcome;    // "ok" | "denied"
  std::string request_id;
  std::string address;
};

struct AuditPage {
  std::vector<AuditEntry> entries;
  std::string next_cursor;  // Empty: no more.
};

struct AuditVerdict {
  bool intact = true;
  std::int64_t entries = 0;       // That were checked, from the oldest kept one on.
  std::int64_t first_broken = 0;  // The number of the first that does not fit; 0 when intact.
  std::string reason;             // What does not fit; empty when intact.
  std::int64_t head = 0;          // The number of the newest entry...
  std::string head_hash;  // ...and its hash in hex. Kept elsewhere, it also shows a trail that
                          // was rewritten as a whole.
};

class Audit {
 public:
  virtual ~Audit() = default;

  // For what has no commit of its own: written a few seconds later, and lost when the process is
  // killed before that. Never waits.
  virtual void note(const Context& context, std::string_view action, std::string_view target) = 0;
  // A refusal of `action`. Bounded: ten a minute of each principal, the others are only counted.
  virtual void note_refusal(const Context& context, std::string_view action,
                            std::string_view why) = 0;

  // The caller's tenant's entries, newest first, `limit` of 1..1000 a page. One read.
  // invalid_argument for a cursor that is not one of ours.
  virtual Task<AuditPage> list(const Context& context, std::size_t limit, std::string cursor) = 0;

  // Walks the whole chain, over all tenants, in pages.
  virtual Task<AuditVerdict> verify(const Context& context) = 0;
};

}  // namespace redoubt
