#include "sql/postgres/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <libpq-fe.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace redoubt::sql::postgres {

namespace asio = boost::asio;

namespace {

// More texts than this are not constants of the program; later ones are not kept prepared.
constexpr std::size_t kStatementsMax = 1'024;
constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

std::string_view text_or_empty(const char* text) {
  return text ? std::string_view(text) : std::string_view();
}

// libpq ends its messages with a line break.
std::string words_of(const char* message) {
  std::string words(text_or_empty(message));
  while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
  return words;
}

void ignore_notice(void*, const PGresult*) {}

std::int64_t changed_by(PGresult* result) {
  const std::string_view count = text_or_empty(PQcmdTuples(result));
  std::int64_t changed = 0;
  for (const char digit : count) changed = changed * 10 + (digit - '0');
  return changed;
}

bool is_read(PGresult* result) {
  return text_or_empty(PQcmdStatus(result)).starts_with("SELECT");
}

Result<void> append_rows(PGresult* result, Rows& rows) {
  const int columns = PQnfields(result);
  for (int row = 0; row < PQntuples(result); ++row) {
    std::vector<Value> values;
    values.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        values.emplace_back(std::monostate{});
        continue;
      }
      const std::string_view bytes(PQgetvalue(result, row, column),
                                   static_cast<std::size_t>(PQgetlength(result, row, column)));
      RD_TRY(value, decode(PQftype(result, column), bytes));
      values.push_back(std::move(value));
    }
    rows.rows.emplace_back(std::move(values));
  }
  return {};
}

}  // namespace

// What waits of this connection share with the timer that ends them, which may fire late.
struct Connection::Io {
  explicit Io(const asio::any_io_executor& executor) : descriptor(executor), timer(executor) {}

  // Of the socket, another one than libpq's, which libpq closes when the connection is lost: the
  // next connection gets its number, and would be unwatched in place of the lost one.
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer timer;
  std::uint64_t round = 0;
  bool armed = false;
  bool expired = false;

  // Until the next arm() or disarm(): after `limit` every wait ends.
  static void arm(const std::shared_ptr<Io>& self, Duration limit) {
    self->armed = true;
    self->expired = false;
    const std::uint64_t round = ++self->round;
    self->timer.expires_after(limit);
    self->timer.async_wait([self, round](const boost::system::error_code& error) {
      if (!error && self->round == round) self->expire();
    });
  }
  void expire() {
    expired = true;
    boost::system::error_code ignored;
    descriptor.cancel(ignored);
  }
  void disarm() {
    armed = false;
    ++round;
    timer.cancel();
  }
  void forget_socket() {
    boost::system::error_code ignored;
    descriptor.close(ignored);
  }
};

void Connection::ResultFree::operator()(pg_result* result) const {
  PQclear(result);
}

Connection::Connection(asio::any_io_executor executor, const ConnectionOptions& options)
    : options_(options),
      reply_timeout_(options.reply_timeout),
      io_(std::make_shared<Io>(executor)) {
  if (options_.set != nullptr) options_.set->connections_.insert(this);
}

Connection::~Connection() {
  if (options_.set != nullptr) options_.set->connections_.erase(this);
  io_->disarm();
  io_->forget_socket();
  PQfinish(handle_);
}

void ConnectionSet::end_waits() {
  for (Connection* connection : connections_) {
    if (connection->io_->armed) connection->io_->expire();
  }
}

Task<std::unique_ptr<Connection>> Connection::open(asio::any_io_executor executor,
                                                   const Target& target,
                                                   const ConnectionOptions& options) {
  std::unique_ptr<Connection> connection(new Connection(std::move(executor), options));
  Io::arm(connection->io_, options.connect_timeout);
  auto connected = co_await connection->connect(target);
  connection->io_->disarm();
  if (!connected) co_return fail(std::move(connected).error());
  RD_CO_CHECK(co_await connection->start_session());
  co_return connection;
}

Task<void> Connection::connect(const Target& target) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : target.parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.reveal().data());  // Of a std::string: ends with a NUL.
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  handle_ = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (handle_ == nullptr) co_return fail(internal("PQconnectStartParams: out of memory"));
  PQsetNoticeReceiver(handle_, ignore_notice, nullptr);

  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(handle_) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
         next != PGRES_POLLING_FAILED) {
    RD_CO_CHECK(watch_socket());
    const bool ready = co_await wait(next == PGRES_POLLING_WRITING);
    if (!ready) {
      lost(io_->expired ? kSilent : kUnreachable);
      co_return failed();
    }
    io_->forget_socket();  // Polling may close it: the next address is another socket.
    next = PQconnectPoll(handle_);
  }
  if (PQstatus(handle_) != CONNECTION_OK) {
    lost(kUnreachable);
    co_return failed();
  }
  co_return watch_socket();
}

Result<void> Connection::watch_socket() {
  const int own = fcntl(PQsocket(handle_), F_DUPFD_CLOEXEC, 0);
  if (own >= 0) {
    boost::system::error_code error;
    io_->descriptor.assign(own, error);
    if (!error) return {};
    close(own);
  }
  lost(kUnreachable);
  return failed();
}

Task<void> Connection::start_session() {
  if (PQsetnonblocking(handle_, 1) != 0 || PQenterPipelineMode(handle_) != 1) {
    co_return fail(internal(words_of(PQerrorMessage(handle_))));
  }
  for (const auto& [name, value] : options_.settings) {
    const Param setting[] = {std::string_view(name), std::string_view(value)};
    queue("SELECT set_config($1, $2, false)", Params(setting));
  }
  RD_CO_CHECK(co_await run("SELECT 1"));
  co_return Result<void>{};
}

void Connection::queue(std::string_view text, Params params) {
  if (sent_.empty()) failure_.reset();
  if (!lost_ && !send(text, params)) lost(kUnreachable);
}

Task<Rows> Connection::run(std::string_view text, Params params) {
  if (sent_.empty()) failure_.reset();
  if (lost_) {
    if (!failure_) failure_ = unreachable(kUnreachable, "the connection was lost before");
    co_return failed();
  }
  if (!send(text, params) || PQpipelineSync(handle_) != 1) {
    lost(kUnreachable);
    co_return failed();
  }
  Io::arm(io_, reply_timeout_);
  auto rows = co_await collect(true);
  io_->disarm();
  co_return rows;
}

asio::awaitable<Commit> Connection::commit() {
  if (!alive()) {
    if (!failure_)
      failure_ = unreachable(kUnreachable, "the connection was lost before the commit");
    co_return Commit::failed;
  }
  const auto done = co_await run("COMMIT");
  if (done && tag_ == "COMMIT") co_return Commit::committed;
  // A transaction that had failed is rolled back by COMMIT, and that is no error of the server's.
  if (done) failure_ = Failure{internal("COMMIT was answered with " + tag_), {}, false};
  co_return lost_ ? Commit::unknown : Commit::failed;
}

Task<void> Connection::execute(std::string script) {
  failure_.reset();
  if (lost_) co_return fail(unreachable(kUnreachable, "the connection was lost before").error);
  if (PQexitPipelineMode(handle_) != 1 || PQsendQuery(handle_, script.c_str()) != 1) {
    lost(kUnreachable);
    co_return failed();
  }
  Io::arm(io_, reply_timeout_);
  auto done = co_await collect(false);
  io_->disarm();
  if (!lost_ && PQenterPipelineMode(handle_) != 1) lost(kUnreachable);
  if (!done) co_return fail(std::move(done).error());
  co_return Result<void>{};
}

bool Connection::send(std::string_view text, const Params& params) {
  Params::Arrays arrays = params.arrays();
  const int count = static_cast<int>(params.size());
  auto found = statements_.find(text.data());
  if (found != statements_.end() && found->second.text != text) {
    statements_.erase(found);
    found = statements_.end();
  }
  if (found == statements_.end()) {
    Prepared entry;
    if (!prepare(text, arrays, entry)) return false;
    found = statements_.emplace(text.data(), std::move(entry)).first;
  }
  sent_.push_back({});
  return PQsendQueryPrepared(handle_, found->second.name.c_str(), count, arrays.values.data(),
                             arrays.lengths.data(), arrays.formats.data(), 1) == 1;
}

bool Connection::prepare(std::string_view text, const Params::Arrays& params, Prepared& entry) {
  if (statements_.size() >= kStatementsMax) statements_.clear();
  entry.name = fmt::format("rd_{}", ++prepared_count_);
  entry.text = std::string(text);
  sent_.push_back({.prepares = text.data()});
  return PQsendPrepare(handle_, entry.name.c_str(), entry.text.c_str(),
                       static_cast<int>(params.types.size()), params.types.data()) == 1;
}

// Reads the replies to everything in `sent_`, which ends with the pipeline's sync.
Task<Rows> Connection::collect(bool pipelined) {
  Rows rows;
  std::size_t at = 0;
  for (;;) {
    const bool ready = co_await reply_ready();
    if (!ready) co_return failed();
    ResultHandle result(PQgetResult(handle_));
    if (!result) {  // The end of one command's replies.
      if (!pipelined) break;
      ++at;
      continue;
    }
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    const Sent command = pipelined && at < sent_.size() ? sent_[at] : Sent{};
    take(std::move(result), command, !pipelined || at + 1 == sent_.size(), rows);
  }
  sent_.clear();
  if (failure_) co_return failed();
  co_return rows;
}

void Connection::take(ResultHandle result, const Sent& command, bool last, Rows& rows) {
  switch (PQresultStatus(result.get())) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: {
      tag_ = text_or_empty(PQcmdStatus(result.get()));
      if (!last) return;
      auto appended = append_rows(result.get(), rows);
      if (!appended && !failure_) failure_ = Failure{std::move(appended).error(), {}, false};
      if (!is_read(result.get())) rows.changed = changed_by(result.get());
      return;
    }
    case PGRES_PIPELINE_ABORTED:  // Behind the one that failed.
      if (command.prepares != nullptr) statements_.erase(command.prepares);
      return;
    default:
      if (command.prepares != nullptr) statements_.erase(command.prepares);
      note_error(result.get());
  }
}

void Connection::note_error(const pg_result* result) {
  const std::string_view state = text_or_empty(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  const std::string_view severity =
      text_or_empty(PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED));
  std::string words = words_of(PQresultErrorMessage(result));
  if (!failure_) {
    failure_ = state.empty() ? unreachable(kUnreachable, std::move(words))
                             : classify(state, std::move(words));
  }
  // After a FATAL the server closes; without a state it is libpq that speaks, of a lost connection.
  if (severity == "FATAL" || severity == "PANIC" || state.empty()) lost_ = true;
}

// Sends what is still to be sent until a reply can be taken without waiting; false: lost.
asio::awaitable<bool> Connection::reply_ready() {
  for (;;) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) break;
    if (unsent == 0 && PQisBusy(handle_) == 0) co_return true;
    const bool ready = co_await wait(unsent > 0);
    if (!ready) break;
    if (PQconsumeInput(handle_) != 1) {
      // The last words of a server that closes may already be here.
      if (PQisBusy(handle_) == 0) co_return true;
      break;
    }
  }
  lost(io_->expired ? kSilent : kUnreachable);
  co_return false;
}

asio::awaitable<bool> Connection::wait(bool for_writing) {
  if (io_->expired) co_return false;
  const auto io = io_;
  const auto what = for_writing ? asio::posix::descriptor_base::wait_write
                                : asio::posix::descriptor_base::wait_read;
  const auto [error] = co_await io->descriptor.async_wait(what, kAwaitTuple);
  co_return !error && !io->expired;
}

bool Connection::alive() {
  if (lost_ || PQstatus(handle_) != CONNECTION_OK) return false;
  if (!sent_.empty()) return true;
  // The first look may find the last words of a server that has gone, and only the next one the end
  // behind them.
  for (int look = 0; look < 2 && !lost_; ++look) {
    if (PQconsumeInput(handle_) != 1) lost(kUnreachable);
  }
  return !lost_;
}

bool Connection::in_transaction() const {
  return PQtransactionStatus(handle_) != PQTRANS_IDLE;
}

void Connection::lost(std::string_view reason) {
  lost_ = true;
  sent_.clear();
  if (!failure_) failure_ = unreachable(reason, words_of(PQerrorMessage(handle_)));
}

Unexpected Connection::failed() const {
  return fail(failure_->error);
}

}  // namespace redoubt::sql::postgres
