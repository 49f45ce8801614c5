// The frame of the suite: a test of a property runs once for each backend (backends.hpp).
//
//   class CopiesConformance : public Conformance {};
//   CONFORMANCE(CopiesConformance, all_backends());
//   TEST_P(CopiesConformance, ...) { loop_.client(*backend().options()) ... }
//
// A backend that cannot run here is said in each test it was left out of. With
// REDOUBT_TEST_STRICT=1 that is a failure, unless it is one that need not be installed.
#pragma once

#include "shared/state.hpp"
#include "tests/conformance/backends.hpp"
#include "tests/support/redis_loop.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>
#include <vector>

namespace redoubt::conformance {

inline bool is_strict() {
  const char* const value = std::getenv("REDOUBT_TEST_STRICT");
  return value != nullptr && std::string_view(value) == "1";
}

inline std::vector<const BackendKind*> all_backends() {
  std::vector<const BackendKind*> all;
  for (const BackendKind& kind : backends()) all.push_back(&kind);
  return all;
}
inline std::vector<const BackendKind*> all_but_memory() {
  std::vector<const BackendKind*> all = all_backends();
  std::erase_if(all, [](const BackendKind* kind) { return kind->in_memory; });
  return all;
}

// Of this program, and of no other test in it: so tests that share a Redis never meet in a key.
inline std::int64_t next_generation() {
  static std::int64_t last = 0;
  return ++last;
}

class Conformance : public ::testing::TestWithParam<const BackendKind*> {
 protected:
  void SetUp() override {
    const BackendKind& kind = *GetParam();
    const std::string why = kind.missing.empty() ? "" : kind.name + ": " + kind.missing;
    if (!why.empty() && is_strict() && !kind.if_installed) FAIL() << why;
    if (!why.empty()) GTEST_SKIP() << why;
    backend_ = &started(kind);
  }

  Backend& backend() { return *backend_; }
  bool in_memory() const { return GetParam()->in_memory; }

  // REQUIRES: not memory.
  std::unique_ptr<redis::Client> connect(redis::Options options) {
    auto client = loop_.client(options);
    const auto connected = loop_.run(client->connected(Duration(20'000)));
    EXPECT_TRUE(connected) << connected.error().message << connected.error().cause;
    return client;
  }
  std::unique_ptr<redis::Client> connect() { return connect(*backend().options()); }

  // A view of Redis that stays usable, with keys of its own.
  std::unique_ptr<shared::SharedState> usable_state() {
    const shared::SharedDeadlines patient{Duration(10'000), Duration(10'000)};
    auto state = std::make_unique<shared::SharedState>(loop_.clock, loop_.metrics, patient);
    state->learned(next_generation(), loop_.clock.boot() + Duration(3'600'000));
    state->canary_answered(true, {});
    return state;
  }

  test::RedisLoop loop_;

 private:
  Backend* backend_ = nullptr;
};

inline std::string name_of(const ::testing::TestParamInfo<const BackendKind*>& info) {
  return info.param->name;
}

#define CONFORMANCE(suite, which) \
  INSTANTIATE_TEST_SUITE_P(Backends, suite, ::testing::ValuesIn(which), name_of)

}  // namespace redoubt::conformance
