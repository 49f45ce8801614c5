// Rows that hold one payload sealed by the vault each, and sealing them again under another key of
// the ring. A noun says which statements reach its rows and what its payloads are bound to.
//
// Errors: those of the record.
#pragma once

#include "base/ids.hpp"
#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"
#include "sql/sql.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt::record {

struct SealedTable {
  // $1 key, $2 id to go on after, $3 limit -> id, tenant, version, payload, in the order of the ids.
  // The version is what the payload is bound to, and what changes with it.
  sql::Statement under;
  // $1 id, $2 payload, $3 its key, $4 version: only while the row has that version.
  sql::Statement replace;
  // $1 key -> the next one. One step of the index for each key, however many rows it has.
  sql::Statement next_key;
  // $1 key -> the number of rows.
  sql::Statement count_under;
};

struct SealedNoun {
  std::string_view name;  // For progress and log lines. Static storage.
  std::string_view kind;  // What the payloads are sealed as. Static storage.
  SealedTable table;
  std::string (*name_of)(const Id128&);  // Names a row that does not open.
};

std::unique_ptr<Resealable> make_row_resealer(Record& record, Vault& vault, SealedNoun noun);

}  // namespace redoubt::record
