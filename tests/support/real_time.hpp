// For tests of code that meets the kernel, where virtual time cannot reach: looks again every
// `interval` until a condition holds. The only place where a test sleeps.
#pragma once

#include <chrono>
#include <thread>

namespace redoubt::test {

// Runs `between` before each look. False when `done` never held in `looks` looks.
template <class Done, class Between>
bool poll_until(Done done, Between between, std::chrono::milliseconds interval, int looks) {
  for (int i = 0; i < looks; ++i) {
    if (done()) return true;
    between();
    std::this_thread::sleep_for(interval);
  }
  return done();
}

}  // namespace redoubt::test
