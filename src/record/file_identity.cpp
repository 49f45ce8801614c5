#include "record/file_identity.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace redoubt::record {

FileIdentity FileIdentity::of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {.device = info.st_dev, .inode = info.st_ino};
}

bool FileIdentity::was_replaced_at(const std::string& path) const {
  if (inode == 0) return false;
  errno = 0;
  const FileIdentity now = of(path);
  if (now.inode == 0) return errno == ENOENT;
  return now != *this;
}

}  // namespace redoubt::record
