// Commands on one link: sent, awaited, and sent again where the rules allow it.
//
// A command is sent again at most once, before its deadline, when it was not sent for certain, or
// when the connection was lost and the command may be repeated; and a script whole after NOSCRIPT.
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

// `L` is a Link, or what takes submissions as one does.
template <class L>
Task<Value> run_on(std::shared_ptr<Shared> shared, std::shared_ptr<L> link, Command command) {
  Submission submission{.deadline = deadline_of(*shared, command)};
  bool repeated = false;
  for (;;) {
    Call call;
    submission.sink = &call;
    link->submit(command, submission);
    if (!call.done()) co_await call.wait();
    if (!call.reply) {
      const bool again = !repeated && !link->is_failing() &&
                         may_repeat(call.reply.error(), command) &&
                         shared->now() < submission.deadline;
      if (!again) co_return call.reply;
      repeated = true;
      continue;
    }
    if (!lacks_script(command, submission, *call.reply)) {
      co_return finish(command, std::move(call.reply));
    }
    submission.form = ScriptForm::whole;
  }
}

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
