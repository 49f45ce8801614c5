// Parameters and columns in PostgreSQL's binary format: integers big-endian, text and bytes as they
// are. Integers of every width and booleans read as int64, so that a statement's results are those
// of SQLite.
#pragma once

#include "sql/sql.hpp"

#include <redoubt/result.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sql::postgres {

// Parameters with their bytes, owned: they may be sent from another thread than the caller's.
class Params {
 public:
  Params() = default;
  explicit Params(std::span<const Param> params);

  // What libpq's functions take, valid until the next change of *this.
  struct Arrays {
    std::vector<unsigned> types;
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
  };
  Arrays arrays() const;
  std::size_t size() const { return slots_.size(); }

 private:
  struct Slot {
    unsigned type = 0;  // 0: NULL; the server infers the type.
    std::size_t offset = 0;
    std::size_t length = 0;
  };
  std::string bytes_;
  std::vector<Slot> slots_;
};

// A column that is not NULL. Errors: internal for a type that no statement of ours yields.
Result<Value> decode(unsigned type, std::string_view bytes);

}  // namespace redoubt::sql::postgres
