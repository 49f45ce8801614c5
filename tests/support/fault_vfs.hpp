// A file layer for SQLite that fails on request: the n-th write, sync or truncation from now on,
// once or until healed, as a broken disk or a full one. Everything else passes through.
//
// Threads: any. One instance per name; it lives as long as the program, as SQLite expects.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

namespace redoubt::test {

class FaultVfs {
 public:
  enum class Fault : std::uint8_t { io_error, disk_full, read_only };

  static FaultVfs& instance() {
    static FaultVfs vfs;
    return vfs;
  }

  const std::string& name() const { return name_; }

  // The operation number `n` from now (1: the next) fails; with `lasting`, all later ones too.
  void fail_from(std::int64_t n, Fault fault, bool lasting) {
    fault_ = fault;
    last_ = lasting ? std::numeric_limits<std::int64_t>::max() : calls_ + n;
    first_ = calls_ + n;
  }
  void heal() { first_ = std::numeric_limits<std::int64_t>::max(); }

  // Writes, syncs and truncations so far.
  std::int64_t calls() const { return calls_; }
  std::int64_t failures() const { return failures_; }

 private:
  // What SQLite allocates for each open file: this, and behind it the real layer's own.
  struct File {
    sqlite3_file base;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    heal();
    vfs_.zName = name_.c_str();
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.pNext = nullptr;
    vfs_.xOpen = &FaultVfs::open;
    sqlite3_vfs_register(&vfs_, 0);
  }

  static sqlite3_file* real_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real(); }
  static const sqlite3_io_methods* methods_of(sqlite3_file* file) {
    return real_of(file)->pMethods;
  }

  // SQLITE_OK, or what this operation must answer instead of being done.
  int next(int io_error) {
    const std::int64_t call = ++calls_;
    if (call < first_ || call > last_) return SQLITE_OK;
    ++failures_;
    switch (fault_) {
      case Fault::disk_full:
        return SQLITE_FULL;
      case Fault::read_only:  // An I/O error as well; only the file's last errno tells.
      case Fault::io_error:
        break;
    }
    return io_error;
  }

  static int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    FaultVfs& self = instance();
    file->pMethods = nullptr;
    const int code = self.real_->xOpen(self.real_, path, real_of(file), flags, out_flags);
    if (real_of(file)->pMethods != nullptr) file->pMethods = methods();
    return code;
  }

  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    const int code = instance().next(SQLITE_IOERR_WRITE);
    return code == SQLITE_OK ? methods_of(file)->xWrite(real_of(file), data, size, offset) : code;
  }
  static int sync(sqlite3_file* file, int flags) {
    const int code = instance().next(SQLITE_IOERR_FSYNC);
    return code == SQLITE_OK ? methods_of(file)->xSync(real_of(file), flags) : code;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    const int code = instance().next(SQLITE_IOERR_TRUNCATE);
    return code == SQLITE_OK ? methods_of(file)->xTruncate(real_of(file), size) : code;
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods table = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;  // No memory-mapped reads: they would pass us by.
      m.xClose = [](sqlite3_file* f) { return methods_of(f)->xClose(real_of(f)); };
      m.xRead = [](sqlite3_file* f, void* data, int size, sqlite3_int64 offset) {
        return methods_of(f)->xRead(real_of(f), data, size, offset);
      };
      m.xWrite = &FaultVfs::write;
      m.xTruncate = &FaultVfs::truncate;
      m.xSync = &FaultVfs::sync;
      m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
        return methods_of(f)->xFileSize(real_of(f), size);
      };
      m.xLock = [](sqlite3_file* f, int level) { return methods_of(f)->xLock(real_of(f), level); };
      m.xUnlock = [](sqlite3_file* f, int level) {
        return methods_of(f)->xUnlock(real_of(f), level);
      };
      m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
        return methods_of(f)->xCheckReservedLock(real_of(f), out);
      };
      m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
        if (op == SQLITE_FCNTL_LAST_ERRNO && instance().fault_ == Fault::read_only) {
          *static_cast<int*>(arg) = EROFS;
          return SQLITE_OK;
        }
        return methods_of(f)->xFileControl(real_of(f), op, arg);
      };
      m.xSectorSize = [](sqlite3_file* f) { return methods_of(f)->xSectorSize(real_of(f)); };
      m.xDeviceCharacteristics = [](sqlite3_file* f) {
        return methods_of(f)->xDeviceCharacteristics(real_of(f));
      };
      m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
        return methods_of(f)->xShmMap(real_of(f), page, size, extend, out);
      };
      m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
        return methods_of(f)->xShmLock(real_of(f), offset, n, flags);
      };
      m.xShmBarrier = [](sqlite3_file* f) { methods_of(f)->xShmBarrier(real_of(f)); };
      m.xShmUnmap = [](sqlite3_file* f, int remove) {
        return methods_of(f)->xShmUnmap(real_of(f), remove);
      };
      return m;
    }();
    return &table;
  }

  std::string name_ = "redoubt-fault";
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::atomic<std::int64_t> calls_{0};
  std::atomic<std::int64_t> failures_{0};
  std::atomic<std::int64_t> first_{0};
  std::atomic<std::int64_t> last_{0};
  std::atomic<Fault> fault_{Fault::io_error};
};

}  // namespace redoubt::test
