// The database that all instances share, as far as they can tell: the real statements on one SQLite
// database, and what PostgreSQL adds around them: transactions that draw journal numbers before they
// commit, snapshots that say which transactions have ended, and the rows of the instances.
//
// Threads: one.
#pragma once

#include "record/audit.hpp"
#include "record/membership.hpp"
#include "record/record.hpp"
#include "sql/sqlite/connection.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace redoubt::sim {

struct JournalRow {
  std::int64_t seq = 0;
  std::string origin;
  record::JournalEntry entry;
};

class Truth {
 public:
  // In a directory of its own, which goes away with it.
  static Result<std::unique_ptr<Truth>> open();
  ~Truth();
  Truth(const Truth&) = delete;
  Truth& operator=(const Truth&) = delete;

  // As it was when it was opened: for the next run.
  void clear();

  sql::sqlite::Connection& connection() { return *connection_; }
  record::AuditChain& audit() { return audit_; }

  bool up() const { return up_; }
  void set_up(bool up) { up_ = up; }

  // ---- Transactions ----

  std::uint64_t begin() {
    running_.insert(++xids_);
    return xids_;
  }
  std::int64_t draw() { return ++seqs_; }
  void append(JournalRow row) { journal_.emplace(row.seq, std::move(row)); }
  void ended(std::uint64_t xid) { running_.erase(xid); }

  struct Snapshot {
    std::uint64_t xmin = 0;
    std::uint64_t xmax = 0;
    std::vector<JournalRow> rows;  // Above `after`, and those of `holes` that are there.
  };
  Snapshot look(std::int64_t after, const std::vector<std::int64_t>& holes) const;
  std::int64_t newest() const { return journal_.empty() ? 0 : journal_.rbegin()->first; }

  // ---- Instances ----

  void beat(const record::InstanceRow& row) { instances_[row.id] = row; }
  void leave(const std::string& id) { instances_.erase(id); }
  std::vector<record::InstanceRow> instances() const;

 private:
  Truth(std::string directory, std::unique_ptr<sql::sqlite::Connection> connection);

  const std::string directory_;
  std::unique_ptr<sql::sqlite::Connection> connection_;
  std::vector<std::string> tables_;
  record::AuditChain audit_;
  std::map<std::int64_t, JournalRow> journal_;
  std::map<std::string, record::InstanceRow> instances_;
  std::set<std::uint64_t> running_;
  std::uint64_t xids_ = 100;
  std::int64_t seqs_ = 0;
  bool up_ = true;
};

}  // namespace redoubt::sim
