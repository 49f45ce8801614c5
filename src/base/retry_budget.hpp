// How often a server may try again by itself what failed: a tenth of what it was asked for, and ten
// in a row from rest. So trying again never doubles the load of a dependency that is failing
// because of its load.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

namespace redoubt {

class RetryBudget {
 public:
  static constexpr std::int64_t kAttemptsPerRetry = 10;
  static constexpr std::int64_t kRetriesMax = 10;  // Saved up.

  // Something was asked for, for the first time.
  void attempted() {
    std::int64_t saved = tenths_.load(std::memory_order_relaxed);
    while (saved < kFull &&
           !tenths_.compare_exchange_weak(saved, saved + 1, std::memory_order_relaxed)) {
    }
  }

  // Whether it may be tried again; then one less is left.
  bool take() {
    std::int64_t saved = tenths_.load(std::memory_order_relaxed);
    while (saved >= kAttemptsPerRetry) {
      if (tenths_.compare_exchange_weak(saved, saved - kAttemptsPerRetry,
                                        std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::int64_t kFull = kAttemptsPerRetry * kRetriesMax;

  std::atomic<std::int64_t> tenths_{kFull};
};

}  // namespace redoubt
