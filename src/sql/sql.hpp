// SQL, as the record's portable statements see it: parameters $1.., rows, and a transaction. The
// drivers (sqlite/, postgres/) implement Transaction; nothing above knows which one it is.
//
// Statements live in constants: the address of the text is the key of the prepared-statement cache.
// One text serves both engines unless it cannot: then `postgres` has the other one.
#pragma once

#include "base/bytes.hpp"

#include <redoubt/result.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace redoubt::sql {

struct Statement {
  std::string_view text;           // Static storage.
  std::string_view postgres = {};  // In place of `text` there; empty: the same.

  std::string_view for_postgres() const { return postgres.empty() ? text : postgres; }
};

using Param = std::variant<std::nullptr_t, std::int64_t, std::string_view, ByteView>;
using Value = std::variant<std::monostate, std::int64_t, double, std::string, Bytes>;

class Row {
 public:
  explicit Row(std::vector<Value> values) : values_(std::move(values)) {}

  // The typed value of a column. REQUIRES: the statement yields that type there; NULL reads as 0 /
  // "".
  std::int64_t integer(std::size_t column) const;
  const std::string& text(std::size_t column) const;
  const Bytes& bytes(std::size_t column) const;
  bool is_null(std::size_t column) const;

 private:
  std::vector<Value> values_;
};

struct Rows {
  std::vector<Row> rows;
  std::int64_t changed = 0;  // Rows an INSERT, UPDATE or DELETE touched.

  bool empty() const { return rows.empty(); }
  std::size_t size() const { return rows.size(); }
  const Row& operator[](std::size_t i) const { return rows[i]; }
};

class Transaction {
 public:
  virtual ~Transaction() = default;

  // Errors: unavailable "record_unavailable" (disk full, read-only, I/O error: message says which),
  // conflict "constraint" for a violated unique or check constraint, internal for bad SQL.
  // After an error the transaction is lost: nothing more of it runs.
  virtual Task<Rows> run(const Statement& statement, std::initializer_list<Param> params = {}) = 0;
};

}  // namespace redoubt::sql
