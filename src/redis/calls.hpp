// Commands on one link: sent, awaited, and sent again where the rules allow it.
//
// A command is sent again at most once, before its deadline, when it was not sent for certain, or
// when the connection was lost and the command may be repeated, and within the budget for that
// (base/retry_budget.hpp); and a script whole after NOSCRIPT.
#pragma once

#include "redis/link.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace redoubt::redis {

BootTime deadline_of(const Shared& shared, const Command& command);
// Whether a command that failed so may be sent once more.
bool may_repeat(const Error& error, const Command& command);
// What a caller gets of a reply: an error reply is an Error, unless the command is raw.
Result<Value> finish(const Command& command, Result<Value> reply);

// Whether a script has to be sent whole.
bool lacks_script(const Command& command, const Submission& submission, const Value& reply);

// Whether this reply is what the caller gets.
bool settles(const Command& command, const Submission& submission, const Result<Value>& reply);

// `L` is a Link, or what takes submissions as one does. The rest of a call whose first reply does
// not settle it.
template <class L>
Task<Value> go_on(std::shared_ptr<Shared> shared, std::shared_ptr<L> link, Command& command,
                  Submission submission, Result<Value> reply) {
  bool repeated = false;
  while (!settles(command, submission, reply)) {
    if (reply) {
      submission.form = ScriptForm::whole;
    } else {
      const bool again = !repeated && !link->is_failing() && shared->now() < submission.deadline &&
                         shared->retries->take();
      if (!again) break;
      repeated = true;
    }
    Call call;
    submission.sink = &call;
    link->submit(command, submission);
    if (!call.done()) co_await call.wait();
    reply = std::move(call.reply);
  }
  co_return finish(command, std::move(reply));
}

template <class L>
Task<Value> run_on(std::shared_ptr<Shared> shared, std::shared_ptr<L> link, Command command) {
  Call call;
  shared->retries->attempted();
  const Submission submission{.sink = &call, .deadline = deadline_of(*shared, command)};
  link->submit(command, submission);
  if (!call.done()) co_await call.wait();
  if (settles(command, submission, call.reply)) co_return finish(command, std::move(call.reply));
  co_return co_await go_on(shared, link, command, submission, std::move(call.reply));
}

// A call that was sent before anybody waits for it. Lives until it has its reply, wanted or not.
class SentCall final : public ReplySink, public std::enable_shared_from_this<SentCall> {
 public:
  SentCall(std::shared_ptr<Shared> shared, std::shared_ptr<Link> link, Command command)
      : shared_(std::move(shared)), link_(std::move(link)), command_(std::move(command)) {}

  void send() {
    self_ = shared_from_this();
    shared_->retries->attempted();
    submission_ = {.sink = this, .deadline = deadline_of(*shared_, command_)};
    link_->submit(command_, submission_);
  }
  void on_reply(std::size_t index, Result<Value> reply) override {
    const auto alive = std::exchange(self_, nullptr);
    call_.on_reply(index, std::move(reply));
  }
  // Once. REQUIRES: send()
  Task<Value> reply() {
    const auto alive = shared_from_this();
    if (!call_.done()) co_await call_.wait();
    if (settles(command_, submission_, call_.reply)) {
      co_return finish(command_, std::move(call_.reply));
    }
    co_return co_await go_on(shared_, link_, command_, submission_, std::move(call_.reply));
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Link> link_;
  Command command_;
  Submission submission_;
  Call call_;
  std::shared_ptr<SentCall> self_;  // While the link knows it.
};

boost::asio::awaitable<std::vector<Result<Value>>> run_all_on(std::shared_ptr<Shared> shared,
                                                              std::shared_ptr<Link> link,
                                                              std::vector<Command> commands);
// MULTI, the commands and EXEC.
std::vector<Command> as_transaction(std::vector<Command> commands);
// What the replies to those say. Errors: redis_exec_abort, redis_unknown_outcome, and those of the
// link.
Result<std::vector<Value>> transaction_result(std::vector<Result<Value>> replies);
Task<std::vector<Value>> transaction_on(std::shared_ptr<Shared> shared, std::shared_ptr<Link> link,
                                        std::vector<Command> commands);

}  // namespace redoubt::redis
