#include "net/task_group.hpp"

#include "base/assert.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <exception>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

// Says what fails, and again when it fails otherwise or still does after a while: a task that runs
// five times a second must not fill the log.
class Complaints {
 public:
  Complaints(Log& log, std::string task, Duration interval)
      : log_(log), task_(std::move(task)), interval_(interval) {}

  void succeeded() { last_.clear(); }

  void failed(const Error& error) {
    const std::string_view slug = slug_of(error);
    std::string what = std::string(slug) + '\n' + error.message + '\n' + error.cause;
    silent_ += interval_;
    if (what == last_ && silent_ < kComplainAgain) return;
    log_.warn(
        "background.failed",
        {{"task", task_}, {"code", slug}, {"message", error.message}, {"cause", error.cause}});
    last_ = std::move(what);
    silent_ = Duration::zero();
  }

 private:
  static constexpr Duration kComplainAgain = std::chrono::minutes(1);

  Log& log_;
  std::string task_;
  Duration interval_;
  Duration silent_{0};
  std::string last_;
};

asio::awaitable<void> repeat_work(Log& log, std::string name, Duration interval,
                                  std::function<Task<void>()> work) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  constexpr auto quietly = asio::as_tuple(asio::use_awaitable);
  Complaints complaints(log, std::move(name), interval);
  for (;;) {
    timer.expires_after(interval);
    const auto [cancelled] = co_await timer.async_wait(quietly);
    if (cancelled) co_return;
    const Result<void> done = co_await work();
    if (done) {
      complaints.succeeded();
    } else {
      complaints.failed(done.error());
    }
  }
}

bool is_cancellation(const std::exception& e) {
  const auto* error = dynamic_cast<const boost::system::system_error*>(&e);
  return error != nullptr && error->code() == asio::error::operation_aborted;
}

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor, Log& log)
    : executor_(std::move(executor)), log_(log) {}

TaskGroup::~TaskGroup() {
  RD_ASSERT(idle(), "a task group is destroyed with running tasks");
}

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  const auto running = tasks_.emplace(tasks_.end());
  running->name = std::move(name);
  auto ended = [this, running](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      if (!is_cancellation(e)) {
        log_.error("background.died", {{"task", running->name}, {"cause", e.what()}});
      }
    }
    tasks_.erase(running);
  };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(running->signal.slot(), std::move(ended)));
}

void TaskGroup::repeat(std::string name, Duration interval, std::function<Task<void>()> work) {
  auto task = repeat_work(log_, name, interval, std::move(work));
  spawn(std::move(name), std::move(task));
}

void TaskGroup::cancel() {
  for (Running& task : tasks_) task.signal.emit(asio::cancellation_type::all);
}

}  // namespace redoubt::net
