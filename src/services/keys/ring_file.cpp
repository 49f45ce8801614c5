#include "services/keys/ring_file.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace redoubt::keys {
namespace {

constexpr std::size_t kFileMax = 4096;  // 16 keys of about 100 bytes.

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  bool good() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

Error unusable(const std::string& path, std::string_view why) {
  return Error(Errc::invalid_argument, "key_ring_file",
               fmt::format("key ring file {}: {}", path, why));
}
// What the machine lacks at present is nobody's wrong input, and may pass.
bool is_passing(int code) {
  constexpr std::array kPassing{ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE, ENOMEM};
  return std::ranges::find(kPassing, code) != kPassing.end();
}
Error system_error(const std::string& path, std::string_view what) {
  const int code = errno;
  Error error = unusable(path, fmt::format("{}: {}", what, std::strerror(code)));
  if (is_passing(code)) error.code = Errc::unavailable;
  return error;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// A name is durable only when its directory is.
bool sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.good() && ::fsync(fd.get()) == 0;
}

// Writes a new file that nobody else may read, down to the disk. False with errno EEXIST when it is
// there already.
bool write_new_file(const std::string& path, const Secret& text) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.good()) return false;
  // fchmod, because a umask can take bits away but the mode here is a promise both ways.
  return ::fchmod(fd.get(), 0600) == 0 && write_all(fd.get(), text.reveal()) &&
         ::fsync(fd.get()) == 0 && fd.close() == 0;
}

// Gives the file at `fresh` the name `path` unless that is taken (EEXIST). Not every file system
// has hard links, nor every one a rename that replaces nothing.
int place_new(const std::string& fresh, const std::string& path) {
  const int linked = ::link(fresh.c_str(), path.c_str());
  const bool no_links = linked != 0 && (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS);
  if (!no_links) return linked;
  return ::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
}

// Puts `text` at `path` whole or not at all: a new file beside it, linked or renamed into place.
// With `keep_existing`, a file that is there already stays.
Result<void> put_file(const std::string& path, const Secret& text, bool keep_existing) {
  // By process, so that two first starts do not write into each other's file.
  const std::string fresh = fmt::format("{}.new.{}", path, ::getpid());
  ::unlink(fresh.c_str());  // Left behind by a process that died while writing it.
  if (!write_new_file(fresh, text)) {
    Error error = system_error(path, "cannot be written");
    ::unlink(fresh.c_str());
    return fail(std::move(error));
  }
  const int placed = keep_existing ? place_new(fresh, path) : ::rename(fresh.c_str(), path.c_str());
  const bool kept = placed != 0 && keep_existing && errno == EEXIST;
  if (placed != 0 && !kept) {
    Error error = system_error(path, "cannot be put in place");
    ::unlink(fresh.c_str());
    return fail(std::move(error));
  }
  if (keep_existing) ::unlink(fresh.c_str());
  if (!sync_directory_of(path)) return fail(system_error(path, "its directory cannot be synced"));
  return {};
}

Result<void> check_permissions(const std::string& path, const struct stat& facts) {
  if (!S_ISREG(facts.st_mode)) return fail(unusable(path, "is not a regular file"));
  if (facts.st_uid != ::geteuid()) return fail(unusable(path, "belongs to another user"));
  if ((facts.st_mode & 07177) != 0) {
    return fail(
        unusable(path, fmt::format("has mode {:04o}, wider than 0600: others may have read the "
                                   "keys. chmod 600 it, and rotate",
                                   facts.st_mode & 07777)));
  }
  return {};
}

Result<Secret> read_file(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.good()) return fail(system_error(path, "cannot be opened"));
  struct stat facts{};
  if (::fstat(fd.get(), &facts) != 0) return fail(system_error(path, "cannot be examined"));
  RD_CHECK(check_permissions(path, facts));

  std::string text(kFileMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(system_error(path, "cannot be read"));
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kFileMax) return fail(unusable(path, "is too large"));
  text.resize(size);
  return Secret(std::move(text));
}

// "k1", "k2", ...: one more than the highest there.
std::string next_label(const std::vector<RingKey>& ring) {
  std::int64_t highest = 0;
  for (const RingKey& key : ring) {
    if (!key.label.starts_with('k')) continue;
    highest = std::max(highest, parse_int(std::string_view(key.label).substr(1)).value_or(0));
  }
  return fmt::format("k{}", highest + 1);
}

std::string random_entry(const std::string& label, Random& random) {
  Key256 key;
  random.fill(key);
  std::string entry = label + ":" + to_hex(key);
  OPENSSL_cleanse(key.data(), key.size());
  return entry;
}

class RingFile final : public RingSource {
 public:
  RingFile(std::string path, Random& random) : path_(std::move(path)), random_(random) {}

  KeyRingSource kind() const override { return KeyRingSource::file; }
  std::string_view place() const override { return path_; }

  Result<void> make_if_missing() {
    struct stat facts{};
    if (::lstat(path_.c_str(), &facts) == 0) return {};
    return put_file(path_, Secret(random_entry("k1", random_) + "\n"), true);
  }

  Result<std::vector<RingKey>> load() override {
    RD_TRY(text, read_file(path_));
    auto ring = parse_key_ring(text);
    if (!ring) {
      const auto& fields = ring.error().fields;
      return fail(unusable(path_, fields.empty() ? ring.error().message : fields[0].detail));
    }
    return ring;
  }

  Result<std::vector<RingKey>> make_primary(std::span<const KeyId> retire) override {
    RD_TRY(ring, load());
    std::string text = random_entry(next_label(ring), random_);
    for (const RingKey& key : ring) {
      if (std::ranges::find(retire, key.id) != retire.end()) continue;
      // An unlabelled key, put there by hand, needs a name to stand beside another.
      const std::string label = key.label.empty() ? "k0" : key.label;
      text += "," + label + ":" + to_hex(key.key);
    }
    text += "\n";
    const Secret content(std::move(text));
    RD_CHECK(parse_key_ring(content));  // Before it replaces a ring that is good.
    RD_CHECK(put_file(path_, content, false));
    return load();
  }

 private:
  std::string path_;
  Random& random_;
};

}  // namespace

Result<std::unique_ptr<RingSource>> open_ring_file(std::string path, Random& random) {
  auto file = std::make_unique<RingFile>(std::move(path), random);
  RD_CHECK(file->make_if_missing());
  RD_CHECK(file->load());
  return file;
}

}  // namespace redoubt::keys
