// Idempotency keys: a request that changes something carries a key of its sender's choice, and is
// carried out once however often it is sent. A repetition is given the answer of the first.
//
// A key belongs to a tenant, a principal and an operation: the same text from another principal, or
// for another operation, is another key. It lasts for a time that is configured (24 h), counted
// from the answer.
//
//   same key, same request       the first one's answer
//   same key, another request     conflict "idempotency_key_reused"
//   while the first is under way  conflict "idempotency_in_progress", or the first one's answer
//
// What an operation changes in the record is committed together with its answer or not at all, so a
// crash in between changes nothing of that. An answer to what is not in the record (soft limits,
// cache entries), or a refusal, is kept after it was made: a crash in between has the request
// carried out again. Kept are answers that stay true, 2xx and 4xx but 429; what could not be done
// (5xx) may be tried again with its key. An answer of which nobody knows whether it was committed
// is found out by the repetition.
//
// Answers are kept sealed: a session's has its token in it.
//
// Threads: any. Cost: one read of the record before, one row more in the unit that has the effect.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>

namespace redoubt {

inline constexpr std::size_t kIdempotencyKeyMax = 128;
// Of one answer, body and all. A request whose answer would be longer changes nothing
// ("idempotency_answer_too_large"); where the answer can be kept only afterwards, it is not.
inline constexpr std::size_t kKeptAnswerMax = 256 << 10;

struct KeptAnswer {
  int status = 0;
  std::string content_type;
  std::string headers;  // "Name: value\r\n" lines.
  std::string body;
};

// Makes the answer of what the operation's work came to: a value of the type that its service
// yields (typeid(void): nothing). Empty: that is not such a value. Pure; any thread.
using AnswerMaker = std::function<std::optional<KeptAnswer>(const std::type_info&, const void*)>;

struct KeyedRequest {
  std::string_view key;
  std::string_view operation;
  std::array<std::uint8_t, 32> fingerprint{};  // Of everything the operation reads.
  AnswerMaker make;
  bool urgent = false;  // Carried out also while nobody can say whether it was before.
};

class Idempotency {
 public:
  virtual ~Idempotency() = default;

  // Carries the request out, and yields its answer as far as it stays true.
  using Run = std::function<boost::asio::awaitable<std::optional<KeptAnswer>>(const Context&)>;

  // The kept answer; empty when `run` was called now, and has answered.
  // Errors: those above, and the record's.
  virtual Task<std::optional<KeptAnswer>> once(const Context& context, const KeyedRequest& request,
                                               Run run) = 0;
};

}  // namespace redoubt
