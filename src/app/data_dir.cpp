#include "app/data_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

namespace redoubt::app {
namespace {

namespace fs = std::filesystem;

Unexpected unusable(const std::string& path, const std::string& why) {
  return fail(unavailable("data_dir", "cannot make the data directory " + path + ": " + why +
                                          "; set REDOUBT_DATA_DIR"));
}

std::string last_error() {
  return std::generic_category().message(errno);
}

bool sync_directory(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  return done;
}

// `path` and those above it that are not there yet, the outermost last.
std::vector<fs::path> missing(fs::path path) {
  std::vector<fs::path> out;
  std::error_code ec;
  while (!path.empty() && path != path.root_path() && !fs::exists(path, ec) && !ec) {
    out.push_back(path);
    path = path.parent_path();
  }
  return out;
}

void warn_when_shared(const std::string& path, Log& log) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return;
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
  log.warn("data_dir.writable_by_others", {{"path", path}, {"fix", "chmod go-w it"}});
}

}  // namespace

Result<void> make_data_dir(const std::string& path, Log& log) {
  std::error_code ec;
  fs::path whole = fs::absolute(path, ec).lexically_normal();
  if (ec) return unusable(path, ec.message());
  if (!whole.has_filename()) whole = whole.parent_path();  // It ended with a slash.
  const std::vector<fs::path> made = missing(whole);
  fs::create_directories(whole, ec);
  if (ec) return unusable(path, ec.message());
  if (made.empty()) {
    warn_when_shared(path, log);
    return {};
  }
  if (::chmod(whole.c_str(), S_IRWXU) != 0) return unusable(path, last_error());
  for (const fs::path& directory : made) {  // A name is durable only when its directory is.
    if (!sync_directory(directory.parent_path())) return unusable(path, last_error());
  }
  return {};
}

}  // namespace redoubt::app
