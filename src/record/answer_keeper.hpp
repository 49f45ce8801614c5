// How the answer of a request with an idempotency key gets into the unit that has its effect: the
// request's context carries a keeper, and a service that writes hands it what it is about to
// return, at the end of its unit's work.
//
//   reach = with_answer_of(context, std::move(reach));
//   work = [&](Unit& unit) -> Task<Thing> {
//     RD_CO_TRY(thing, co_await change_thing(unit, ...));
//     RD_CO_CHECK(co_await keep_answer(context, unit, thing));
//     co_return thing;
//   };
//
// A service that does not is correct all the same; its answers are kept after the effect.
#pragma once

#include "record/record.hpp"

#include <redoubt/context.hpp>

#include <string>
#include <typeinfo>

namespace redoubt::record {

class AnswerKeeper {
 public:
  virtual ~AnswerKeeper() = default;

  // Units of requests with the same idempotency key have it in common (Reach::keys).
  virtual std::string reach_key() const = 0;

  // Writes the answer that `result`, of type `type`, makes. On the record's thread; once or more.
  // Errors: conflict when the key is taken: another request was faster.
  virtual Task<void> keep(Unit& unit, const std::type_info& type, const void* result) = 0;
};

inline Reach with_answer_of(const Context& context, Reach reach) {
  if (context.keeper == nullptr) return reach;
  if (!reach.keys.empty()) reach.keys.push_back(context.keeper->reach_key());
  // The answer is the caller's, whomever the effect concerns.
  if (reach.tenant != context.caller.tenant) reach.tenant.clear();
  return reach;
}

// `result` is what the service returns to its caller.
template <class T>
Task<void> keep_answer(const Context& context, Unit& unit, const T& result) {
  if (context.keeper == nullptr) co_return Result<void>{};
  co_return co_await context.keeper->keep(unit, typeid(T), &result);
}

// For a service that returns nothing.
inline Task<void> keep_answer(const Context& context, Unit& unit) {
  if (context.keeper == nullptr) co_return Result<void>{};
  co_return co_await context.keeper->keep(unit, typeid(void), nullptr);
}

}  // namespace redoubt::record
