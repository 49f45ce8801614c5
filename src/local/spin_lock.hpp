// A lock for sections of a few hundred nanoseconds that cannot fail or wait: cheaper than a mutex
// when it is free, and polite when its holder was descheduled.
//
// Threads: any. Not fair, not recursive.
#pragma once

#include <atomic>
#include <thread>

namespace redoubt::local {

class SpinLock {
 public:
  void lock() noexcept {
    for (int tries = 0; held_.exchange(true, std::memory_order_acquire); ++tries) {
      // Waiting on a load keeps the cache line shared until it is worth taking.
      while (held_.load(std::memory_order_relaxed)) {
        if (++tries < kSpins) {
          pause();
        } else {
          std::this_thread::yield();
        }
      }
    }
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  static constexpr int kSpins = 100;

  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  std::atomic<bool> held_{false};
};

}  // namespace redoubt::local
