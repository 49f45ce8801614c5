// The audit trail: who did what, append-only, each row's hash covering the row and the hash before
// it.
//
//   hash = SHA-256( previous hash | seq | at | tenant | principal | action | target | outcome |
//                   request_id | address )
//
// with integers as 8 bytes and texts behind their length in 8 bytes, big-endian; the hash before
// the first row is 32 zeros. `rd_meta` keeps the last row's number and hash ("audit.head"), so that
// a shortened trail is noticed, and those of the last row that retention deleted ("audit.cut"),
// where verification then begins.
//
// What it shows: deleted, edited, inserted, reordered and cut off rows. What it cannot show:
// somebody with the file who recomputes everything from the change on. Keep the head's hash
// elsewhere (it is in AuditVerification and meant to be copied) and that shows too.
#pragma once

#include "base/crypto.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

struct AuditEntry {
  std::int64_t seq = 0;
  WallTime at;
  AuditEvent event;
  Digest256 hash{};
};

// The hash an entry must have after the one before it.
Digest256 audit_hash(const Digest256& previous, const AuditEntry& entry);

struct AuditLink {  // One end of the chain.
  std::int64_t seq = 0;
  Digest256 hash{};
};

// Appends on the record's thread. Knows the chain's end without asking the database; what it knows
// is a value, so that undoing a unit or a batch is putting the value back.
class AuditChain {
 public:
  using Mark = std::optional<AuditLink>;  // Empty: to be read from the database.

  Task<void> append(sql::Transaction& tx, const AuditEvent& event, WallTime now);
  // Stores the end of the chain if it moved since `since`. Once per batch, before the commit.
  Task<void> store_head(sql::Transaction& tx, const Mark& since);

  const Mark& mark() const { return end_; }
  void restore(const Mark& mark) { end_ = mark; }

 private:
  Mark end_;
};

struct AuditVerification {
  bool intact = true;
  std::int64_t rows = 0;       // Checked.
  std::int64_t first_bad = 0;  // Where the chain breaks; 0 when intact.
  std::string problem;         // "row is missing", "row was changed", ...; empty when intact.
  AuditLink head;              // The end the trail should have.
};

// Walks the whole chain, 1,000 rows per snapshot, so that it holds nobody up.
Task<AuditVerification> verify_audit(Record& record);

struct AuditQuery {
  std::string tenant;           // Required.
  std::int64_t before_seq = 0;  // Entries older than this one; 0: from the newest.
  std::int64_t limit = 100;     // 1 .. 1000.
};

struct AuditPage {
  std::vector<AuditEntry> entries;   // Newest first.
  std::int64_t next_before_seq = 0;  // For the next page; 0: there is none.
};

// One index range read.
Task<AuditPage> list_audit(sql::Transaction& tx, AuditQuery query);

// Deletes at most `batch` entries older than `cutoff` from the beginning of the trail, and says how
// many. The trail keeps its order: an old entry behind a younger one waits for it.
Task<std::int64_t> trim_audit(sql::Transaction& tx, WallTime cutoff, std::int64_t batch);

}  // namespace redoubt::record
