// Tells whether a path still leads to the file that was opened.
#pragma once

#include <cstdint>
#include <string>

namespace redoubt::record {

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: it cannot be told, or there is no file.

  bool operator==(const FileIdentity&) const = default;

  static FileIdentity of(const std::string& path);

  // Another file is there, or none. Only what is certain: what cannot be told now may be told
  // later.
  bool was_replaced_at(const std::string& path) const;
};

}  // namespace redoubt::record
