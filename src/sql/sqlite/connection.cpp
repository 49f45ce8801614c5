#include "sql/sqlite/connection.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <charconv>
#include <mutex>
#include <utility>
#include <vector>

namespace redoubt::sql::sqlite {
namespace {

// More texts than this are not constants of the program; the cache starts over.
constexpr std::size_t kStatementsMax = 1'024;

class ResetOnExit {
 public:
  explicit ResetOnExit(sqlite3_stmt* statement) : statement_(statement) {}
  ~ResetOnExit() { sqlite3_reset(statement_); }
  ResetOnExit(const ResetOnExit&) = delete;
  ResetOnExit& operator=(const ResetOnExit&) = delete;

 private:
  sqlite3_stmt* statement_;
};

// Memory statistics take a lock that all connections share, at every allocation.
void configure_engine_once() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

int bind(sqlite3_stmt* statement, int index, const Param& param) {
  if (const auto* number = std::get_if<std::int64_t>(&param)) {
    return sqlite3_bind_int64(statement, index, *number);
  }
  // A null address would bind NULL where the caller means "empty".
  if (const auto* text = std::get_if<std::string_view>(&param)) {
    return sqlite3_bind_text64(statement, index, text->data() ? text->data() : "", text->size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* bytes = std::get_if<ByteView>(&param)) {
    return bytes->empty()
               ? sqlite3_bind_zeroblob(statement, index, 0)
               : sqlite3_bind_blob64(statement, index, bytes->data(), bytes->size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, index);
}

Value column(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, index)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, index);
    case SQLITE_TEXT: {
      const void* data = sqlite3_column_text(statement, index);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
      return std::string(static_cast<const char*>(data), size);
    }
    case SQLITE_BLOB: {
      const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, index));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
      return Bytes(data, data + size);
    }
    default:
      return std::monostate{};
  }
}

Row current_row(sqlite3_stmt* statement, int columns) {
  std::vector<Value> values;
  values.reserve(static_cast<std::size_t>(columns));
  for (int i = 0; i < columns; ++i) values.push_back(column(statement, i));
  return Row(std::move(values));
}

// The numbers behind $1.., in the engine's order: it numbers named parameters by first appearance,
// so that "$2 ... $1" would otherwise be bound the wrong way round. Empty number: not of that form.
std::vector<std::size_t> parameter_order(sqlite3_stmt* statement) {
  std::vector<std::size_t> order;
  const int count = sqlite3_bind_parameter_count(statement);
  for (int i = 1; i <= count; ++i) {
    const char* name = sqlite3_bind_parameter_name(statement, i);
    const std::string_view text = name ? name : "";
    std::size_t number = 0;
    if (text.starts_with('$')) {
      std::from_chars(text.data() + 1, text.data() + text.size(), number);
    }
    order.push_back(number);
  }
  return order;
}

// Of the last failure. The engine forgets it when a commit fails; the log and the database file
// remember their own.
int system_errno(sqlite3* handle) {
  int system_errno = sqlite3_system_errno(handle);
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    if (system_errno != 0) break;
    sqlite3_file_control(handle, "main", which, &file);
    if (file == nullptr || file->pMethods == nullptr) continue;
    file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &system_errno);
  }
  return system_errno;
}

}  // namespace

void Connection::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options) {
  configure_engine_once();
  const bool writer = options.mode == ConnectionOptions::Mode::writer;
  const int flags = (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(options.path.c_str(), &handle, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (handle == nullptr) return fail(classify(SQLITE_NOMEM, 0, "sqlite3_open_v2").error);
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (code != SQLITE_OK) return connection->failed(code);
  RD_CHECK(connection->configure(options));
  return connection;
}

Connection::~Connection() {
  statements_.clear();
  sqlite3_close_v2(handle_);
}

Result<void> Connection::configure(const ConnectionOptions& options) {
  sqlite3_busy_timeout(handle_, static_cast<int>(options.busy_timeout.count()));
  RD_CHECK(
      execute(fmt::format("PRAGMA cache_size = -{}; PRAGMA temp_store = MEMORY;"
                          "PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF;"
                          "PRAGMA foreign_keys = ON;",
                          options.cache_bytes / 1'024)));
  if (options.mode == ConnectionOptions::Mode::writer) return configure_writer(options);
  return {};
}

Result<void> Connection::configure_writer(const ConnectionOptions& options) {
  // Before the journal mode, which is the file's and outlives us.
  if (options.application_id != 0) {
    RD_CHECK(is_new_or_of(options.application_id));
  }
  Result<Rows> mode = run("PRAGMA journal_mode = WAL");
  if (!mode) return fail(std::move(mode).error());
  if (mode->empty() || (*mode)[0].text(0) != "wal") {
    return fail(unavailable("record_unavailable",
                            "The database's file system does not support a write-ahead log."));
  }
  // Checkpoints are the owner's to time: by default they run inside somebody's commit.
  RD_CHECK(
      execute(fmt::format("PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 0;"
                          "PRAGMA journal_size_limit = 67108864;",
                          options.durable ? "FULL" : "OFF")));
  if (options.pages_max > 0) {
    RD_CHECK(execute(fmt::format("PRAGMA max_page_count = {}", options.pages_max)));
  }
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Connection*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  return {};
}

Result<bool> Connection::is_new_or_of(std::int64_t application_id) {
  RD_TRY(id, integer("PRAGMA application_id"));
  if (id == application_id) return false;
  RD_TRY(objects, integer("SELECT count(*) FROM sqlite_schema"));
  if (id == 0 && objects == 0) return true;
  return fail(Error(Errc::conflict, "record_foreign",
                    "The file is a database of another program; choose another path."));
}

Result<Connection::Prepared*> Connection::prepared(std::string_view text) {
  const auto found = statements_.find(text.data());
  if (found != statements_.end()) {
    if (found->second.text == text) return &found->second;
    statements_.erase(found);
  }
  if (statements_.size() >= kStatementsMax) statements_.clear();

  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.data(), static_cast<int>(text.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  StatementHandle statement(raw);
  if (code != SQLITE_OK) return failed(code);
  const std::string_view rest(tail, static_cast<std::size_t>(text.data() + text.size() - tail));
  if (!statement || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    return fail(internal(fmt::format("not exactly one statement: {}", text)));
  }
  std::vector<std::size_t> order = parameter_order(statement.get());
  Prepared entry{std::move(statement), std::string(text), std::move(order)};
  return &statements_.insert_or_assign(text.data(), std::move(entry)).first->second;
}

Result<Rows> Connection::run(std::string_view text, std::span<const Param> params) {
  failure_reason_ = {};
  RD_TRY(entry, prepared(text));
  sqlite3_stmt* statement = entry->handle.get();
  const ResetOnExit reset(statement);

  for (std::size_t i = 0; i < entry->order.size(); ++i) {
    const std::size_t number = entry->order[i];
    if (number == 0 || number > params.size()) {
      return fail(internal(fmt::format("parameter ${} of {}: {}", number, params.size(), text)));
    }
    const int code = bind(statement, static_cast<int>(i) + 1, params[number - 1]);
    if (code != SQLITE_OK) return failed(code);
  }

  Rows rows;
  const int columns = sqlite3_column_count(statement);
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    rows.rows.push_back(current_row(statement, columns));
  }
  if (code != SQLITE_DONE) return failed(code);
  if (!sqlite3_stmt_readonly(statement)) rows.changed = sqlite3_changes64(handle_);
  return rows;
}

Result<void> Connection::execute(const std::string& script) {
  failure_reason_ = {};
  const int code = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(code);
  return {};
}

Result<std::int64_t> Connection::integer(const std::string& text) {
  failure_reason_ = {};
  sqlite3_stmt* raw = nullptr;
  int code = sqlite3_prepare_v2(handle_, text.c_str(), -1, &raw, nullptr);
  const StatementHandle statement(raw);
  if (code != SQLITE_OK) return failed(code);
  code = sqlite3_step(raw);
  if (code != SQLITE_ROW) {
    return code == SQLITE_DONE ? fail(internal("no row: " + text)) : failed(code);
  }
  return std::int64_t{sqlite3_column_int64(raw, 0)};
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

std::int64_t Connection::changes_total() const {
  return sqlite3_total_changes64(handle_);
}

Result<void> Connection::checkpoint() {
  failure_reason_ = {};
  const int code =
      sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) return failed(code);
  log_pages_ = 0;
  return {};
}

Unexpected Connection::failed(int code) {
  Failure failure = classify(code, system_errno(handle_), sqlite3_errmsg(handle_));
  failure_reason_ = failure.reason;
  sync_failed_ = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
  return fail(std::move(failure.error));
}

}  // namespace redoubt::sql::sqlite
