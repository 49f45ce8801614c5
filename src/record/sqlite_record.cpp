#include "record/sqlite_record.hpp"

#include "record/sqlite_reader.hpp"
#include "record/sqlite_writer.hpp"
#include "sql/sqlite/connection.hpp"
#include "sql/sqlite/lock_file.hpp"
#include "sql/sqlite/migrate.hpp"

#include "redoubt_migrations.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace redoubt::record {
namespace {

using sql::sqlite::Connection;
using sql::sqlite::ConnectionOptions;
using sql::sqlite::LockFile;

constexpr std::int64_t kWriterCacheBytes = 16 << 20;
constexpr std::int64_t kReaderCacheBytes = 2 << 20;

// A directory that goes away with its owner.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> make() {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string path = (base / "redoubt-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr) {
      return fail(
          unavailable("record_unavailable", fmt::format("Cannot make a temporary directory in {}.",
                                                        base.empty() ? "/tmp" : base.string())));
    }
    TemporaryDirectory directory;
    directory.path_ = std::move(path);
    return directory;
  }
  TemporaryDirectory() = default;
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class SqliteRecord final : public Record {
 public:
  SqliteRecord(TemporaryDirectory temporary, std::unique_ptr<LockFile> lock,
               std::unique_ptr<Connection> connection, const ConnectionOptions& writer,
               const ConnectionOptions& reader, std::int64_t schema,
               const SqliteRecordOptions& options, Clock& clock, Log& log, Metrics& metrics)
      : temporary_(std::move(temporary)),
        lock_(std::move(lock)),
        schema_(schema),
        writer_(std::move(connection), writer, options, clock, log, metrics),
        reader_(reader) {}
  ~SqliteRecord() override { stop(); }

  Task<void> write_unit(std::function<Task<void>(Unit&)> work) override {
    return writer_.submit(std::move(work));
  }
  Task<void> write_within(Reach reach, std::function<Task<void>(Unit&)> work) override {
    return writer_.submit(std::move(work), reach.deadline);
  }
  double queue_fill() const override { return writer_.queue_fill(); }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return reader_.run(std::move(work));
  }
  void subscribe(JournalListener listener) override { writer_.subscribe(std::move(listener)); }

  Status status() const override {
    Status status = writer_.status();
    status.engine = "sqlite";
    status.schema = schema_;
    return status;
  }

  void stop() override {
    writer_.stop();
    reader_.close();
    writer_.close();  // Last: it folds the log into the database.
    lock_.reset();
  }

 private:
  TemporaryDirectory temporary_;
  std::unique_ptr<LockFile> lock_;
  const std::int64_t schema_;
  SqliteWriter writer_;
  SqliteReader reader_;
};

// Made by us, so that neither it nor its log is readable by others; SQLite would use the umask.
Result<void> create_private(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    ::close(descriptor);
    return {};
  }
  if (errno == EROFS || errno == EACCES) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return {};
  }
  return fail(
      unavailable("record_unavailable", fmt::format("Cannot create the database {}: {}.", path,
                                                    std::generic_category().message(errno))));
}

Result<std::int64_t> migrate_to_newest(Connection& connection, WallTime now) {
  std::vector<sql::Migration> known;
  for (const migrations::File& file : migrations::all) known.push_back({file.name, file.text});
  return sql::sqlite::migrate(connection, known, now);
}

}  // namespace

Result<std::unique_ptr<Record>> open_sqlite_record(const SqliteRecordOptions& options, Clock& clock,
                                                   Log& log, Metrics& metrics) {
  const bool temporary = options.path == kTemporary;
  TemporaryDirectory directory;
  std::string path = options.path;
  if (temporary) {
    RD_TRY(made, TemporaryDirectory::make());
    directory = std::move(made);
    path = directory.path() + "/redoubt.db";
  }
  RD_CHECK(create_private(path));
  RD_TRY(lock, LockFile::acquire(path));

  ConnectionOptions writer;
  writer.path = path;
  writer.durable = !temporary;
  writer.cache_bytes = kWriterCacheBytes;
  writer.pages_max = options.pages_max;
  writer.vfs = options.vfs;
  writer.application_id = sql::sqlite::kApplicationId;
  ConnectionOptions reader = writer;
  reader.mode = ConnectionOptions::Mode::reader;
  reader.cache_bytes = kReaderCacheBytes;

  RD_TRY(connection, Connection::open(writer));
  RD_TRY(schema, migrate_to_newest(*connection, clock.wall()));
  log.info("record.opened", {{"engine", "sqlite"}, {"path", path}, {"schema", schema}});
  return std::make_unique<SqliteRecord>(std::move(directory), std::move(lock),
                                        std::move(connection), writer, reader, schema, options,
                                        clock, log, metrics);
}

}  // namespace redoubt::record
