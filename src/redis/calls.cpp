#include "redis/calls.hpp"

#include "redis/classify.hpp"

namespace redoubt::redis {

BootTime deadline_of(const Shared& shared, const Command& command) {
  const Duration own = command.deadline();
  return shared.now() + (own.count() > 0 ? own : shared.options.timeouts.operation);
}

bool may_repeat(const Error& error, const Command& command) {
  return is_unsent(error) || (is_unknown(error) && command.is_repeatable());
}

Result<Value> finish(const Command& command, Result<Value> reply) {
  if (reply && reply->is_error() && !command.is_raw()) return fail(to_error(reply->text()));
  return reply;
}

bool lacks_script(const Command& command, const Submission& submission, const Value& reply) {
  return reply.is_error() && command.script() != nullptr && submission.form == ScriptForm::by_sha &&
         classify(reply.text()) == Meaning::no_script;
}

bool settles(const Command& command, const Submission& submission, const Result<Value>& reply) {
  if (!reply) return !may_repeat(reply.error(), command);
  return !lacks_script(command, submission, *reply);
}

boost::asio::awaitable<std::vector<Result<Value>>> run_all_on(std::shared_ptr<Shared> shared,
                                                              std::shared_ptr<Link> link,
                                                              std::vector<Command> commands) {
  Calls calls(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    link->submit(commands[i], {.sink = &calls,
                               .index = i,
                               .deadline = deadline_of(*shared, commands[i]),
                               .form = ScriptForm::known_or_whole});
  }
  if (!calls.done()) co_await calls.wait();
  for (std::size_t i = 0; i < commands.size(); ++i) {
    calls.replies[i] = finish(commands[i], std::move(calls.replies[i]));
  }
  co_return std::move(calls.replies);
}

std::vector<Command> as_transaction(std::vector<Command> commands) {
  std::vector<Command> all;
  all.reserve(commands.size() + 2);
  all.emplace_back("MULTI");
  for (Command& command : commands) all.push_back(std::move(command));
  all.emplace_back("EXEC");
  return all;
}

Result<std::vector<Value>> transaction_result(std::vector<Result<Value>> replies) {
  for (const Result<Value>& reply : replies) {
    if (!reply) return fail(reply.error());
  }
  // Then the commands were executed one by one, and EXEC had nothing to do.
  if (replies.front()->is_error()) {
    return fail(unknown_outcome("MULTI was refused: " + std::string(replies.front()->text())));
  }
  Value& executed = *replies.back();
  if (!executed.is_error()) {
    if (executed.is_null()) return fail(Error(Errc::conflict, "redis_exec_abort", "EXEC: null"));
    return executed.take_items();
  }
  for (std::size_t i = 1; i + 1 < replies.size(); ++i) {
    if (!replies[i]->is_error()) continue;
    const std::string_view why = replies[i]->text();
    return fail(Error(Errc::conflict, "redis_exec_abort", std::string(why), std::string(why)));
  }
  return fail(to_error(executed.text()));
}

Task<std::vector<Value>> transaction_on(std::shared_ptr<Shared> shared, std::shared_ptr<Link> link,
                                        std::vector<Command> commands) {
  if (commands.empty()) co_return std::vector<Value>();
  const BootTime deadline = deadline_of(*shared, commands.front());
  const std::vector<Command> all = as_transaction(std::move(commands));
  Calls calls(all.size());
  const Submission submission{
      .sink = &calls, .deadline = deadline, .form = ScriptForm::known_or_whole};
  link->submit_together(all, submission);
  if (!calls.done()) co_await calls.wait();
  co_return transaction_result(std::move(calls.replies));
}

}  // namespace redoubt::redis
