// Requests with an idempotency key: what every operation that takes one has in common.
#include "base/crypto.hpp"
#include "base/packed.hpp"
#include "operations/idempotency_key.hpp"
#include "operations/operation.hpp"
#include "operations/problem.hpp"

#include <utility>

namespace redoubt::operations::detail {
namespace {

// Everything that the operation reads, each part after its length. To a user, whose tokens are one
// principal, the session that calls is a part of it: of two that log out, each means its own.
Digest256 fingerprint_of(const Context& context, const KeyedCall& call) {
  const OperationInput& input = call.input;
  PackedWriter parts;
  for (const PathParam& param : input.path) parts.text(param.value);
  parts.text(input.query);
  parts.text(input.content_type);
  parts.text(input.body);
  for (const FieldInfo& field : call.fields) {
    if (field.where != Where::header || input.headers == nullptr) continue;
    parts.text(input.headers->header(field.wire_name));
  }
  parts.text(context.caller.session_id);
  return sha256(parts.out);
}

// Final ones alone: what could not be done, or not yet, may turn out otherwise.
bool lasts(int status) {
  return (status >= 200 && status < 300) || (status >= 400 && status < 500 && status != 429);
}

void put_answer(KeptAnswer answer, OperationOutput& output) {
  output.clear();
  output.status = answer.status;
  output.content_type_storage = std::move(answer.content_type);
  output.content_type = output.content_type_storage;
  output.headers = std::move(answer.headers);
  output.body = std::move(answer.body);
  output.add_header("Idempotency-Replayed", "true");
}

}  // namespace

std::optional<KeptAnswer> lasting_answer(OperationOutput output, std::string_view request_id) {
  KeptAnswer answer;
  answer.status = output.status;
  answer.content_type = output.content_type_storage.empty()
                            ? std::string(output.content_type)
                            : std::move(output.content_type_storage);
  answer.headers = std::move(output.headers);
  answer.body = std::move(output.body);
  if (output.error) {
    Problem problem = problem_of(*output.error, request_id);
    if (output.status >= 400) problem.status = output.status;
    answer.status = static_cast<int>(problem.status);
    answer.content_type = kProblemContentType;
    answer.body.clear();
    write_problem(answer.body, problem);
  }
  if (!lasts(answer.status)) return std::nullopt;
  return answer;
}

boost::asio::awaitable<void> run_keyed(Idempotency& idempotency, const Context& context,
                                       const KeyedCall& call, OperationOutput& output) {
  auto key = parse_idempotency_key(call.input.idempotency_key);
  if (!key) {
    output.error = std::move(key).error();
    co_return;
  }
  const KeyedRequest request{.key = *key,
                             .operation = call.info.id,
                             .fingerprint = fingerprint_of(context, call),
                             .make = call.make,
                             .urgent = call.info.priority == Priority::revocation};
  Idempotency::Run run =
      [&](const Context& own) -> boost::asio::awaitable<std::optional<KeptAnswer>> {
    co_await call.work(own);
    co_return lasting_answer(output, context.request_id);
  };
  auto answered = co_await idempotency.once(context, request, std::move(run));
  if (!answered) {
    output.clear();
    // The status that drafts and clients know for this one; it has no kind of error of its own.
    if (answered.error().slug == "idempotency_key_reused") output.status = 422;
    output.error = std::move(answered).error();
  } else if (*answered) {
    put_answer(std::move(**answered), output);
  }
}

}  // namespace redoubt::operations::detail
