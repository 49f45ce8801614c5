#include "sql/sqlite/lock_file.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace redoubt::sql::sqlite {
namespace {

// What the holder wrote, digits only; empty while it has not written yet.
std::string holder_of(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  std::string digits;
  for (ssize_t i = 0; i < size; ++i) {
    const char c = text[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') break;
    digits.push_back(c);
  }
  return digits;
}

std::string words_of(int code) {
  return std::generic_category().message(code);
}

// Without symbolic links: two paths to one database are one lock.
std::string canonical(const std::string& path) {
  std::error_code unknown;
  const std::filesystem::path found = std::filesystem::weakly_canonical(path, unknown);
  return unknown ? path : found.string();
}

}  // namespace

Result<std::unique_ptr<LockFile>> LockFile::acquire(const std::string& database) {
  const std::string path = canonical(database) + ".lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return fail(
        unavailable("record_unavailable",
                    fmt::format("Cannot create {}: {}. The data directory must exist and be "
                                "writable.",
                                path, words_of(errno))));
  }
  std::unique_ptr<LockFile> lock(new LockFile(descriptor));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return fail(unavailable("record_unavailable",
                              fmt::format("Cannot lock {}: {}.", path, words_of(errno))));
    }
    const std::string holder = holder_of(descriptor);
    return fail(
        Error(Errc::conflict, "record_in_use",
              fmt::format("{} is in use by {}. One process at a time may open it; stop that "
                          "one or give this one another data directory.",
                          database, holder.empty() ? "another process" : "process " + holder)));
  }
  // Only words for whoever comes second; a full disk must not keep us from reading.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, pid.data(), pid.size(), 0);
  }
  return lock;
}

LockFile::~LockFile() {
  ::close(descriptor_);
}

}  // namespace redoubt::sql::sqlite
