// `wait`: how far a change has been heard of when it is answered. A request struct that has such a
// member offers it; the registry does the waiting, so no operation has a barrier of its own.
//
//   struct RevokeThing {
//     std::string id;
//     Wait wait = Wait::self;
//     static constexpr auto fields = describe(..., wait_field<&RevokeThing::wait>());
//   };
#pragma once

#include "operations/describe.hpp"

#include <redoubt/result.hpp>

#include <concepts>
#include <functional>

namespace redoubt::operations {

enum class Wait : std::uint8_t {
  self,  // This instance refuses at once, the others within 2 s.
  all,   // Every running instance has heard of it, or trusts its copies no more.
};

template <>
struct EnumNames<Wait> {
  static constexpr std::array<std::string_view, 2> names{"self", "all"};
};

template <auto Member>
constexpr FieldInfo wait_field() {
  return field<Member>("wait",
                       "When it is answered: `self`, once it is committed, which other instances "
                       "hear of within 2 s; "
                       "`all`, when every running instance has heard of it or trusts its copies no "
                       "more, 2.1 s later "
                       "at most. One instance alone answers at once.",
                       in_query);
}

template <class Req>
concept Waits = requires(const Req& request) {
  { request.wait } -> std::same_as<const Wait&>;
};

// Returns when what was committed before the call is heard of by all instances.
using Barrier = std::function<Task<void>()>;

template <class Req>
constexpr Wait wait_of(const Req& request) {
  if constexpr (Waits<Req>) {
    return request.wait;
  } else {
    return Wait::self;
  }
}

}  // namespace redoubt::operations
