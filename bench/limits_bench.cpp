// What a decision of the limits costs: nanoseconds of CPU a call of check_now, on one thread and on
// all, on one hot subject and on many, beside the parts it is made of.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "record/sqlite_record.hpp"
#include "services/limits/service.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>

namespace redoubt {
namespace {

constexpr int kCalls = 2'000'000;

LimitPolicy policy_of(std::string name, LimitAlgorithm algorithm) {
  LimitPolicy policy;
  policy.name = std::move(name);
  policy.algorithm = algorithm;
  // Slow enough to be remembered from one use to the next, wide enough to admit all of them.
  const bool rate = algorithm == LimitAlgorithm::gcra;
  const bool log = algorithm == LimitAlgorithm::sliding_log;
  policy.limit = rate ? 1 : log ? 10'000 : 1'000'000'000;
  policy.burst = 100'000'000;
  policy.period = Duration(1000);
  return policy;
}

// CPU time, which other work on the machine does not add to. Of all threads together, by call.
void measure(std::string_view name, int threads, const std::function<void(int, int)>& call) {
  const std::clock_t start = std::clock();
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&call, t] {
      for (int i = 0; i < kCalls; ++i) call(t, i);
    });
  }
  for (std::thread& thread : running) thread.join();
  const double ns = static_cast<double>(std::clock() - start) * 1e9 / CLOCKS_PER_SEC;
  fmt::print("{:<44} {:>2} threads {:>8.1f} ns/call\n", name, threads, ns / kCalls / threads);
}

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "{} {}\n", result.error().message, result.error().cause);
  std::exit(1);
}

class Bench {
 public:
  Bench()
      : record_(must(record::open_sqlite_record({.path = std::string(record::kTemporary)}, clock_,
                                                null_log(), metrics_))),
        engine_(clock_, random_, {}, metrics_),
        limits_(must(limits::make_limits(engine_, *record_, clock_, policies(), metrics_))) {
    caller_.tenant = "default";
    for (int i = 0; i < 1 << 17; ++i) subjects_.push_back(fmt::format("user:{}", i));
  }
  ~Bench() { record_->stop(); }

  void run() {
    const int all = static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
    measure("boot clock", 1, [this](int, int) { clock_.boot(); });
    const local::LimitRule rule = local::make_limit_rule(policies()[0]);
    measure("key of a subject", 1, [this, &rule](int, int i) {
      engine_.key("default", rule, subjects_[static_cast<std::size_t>(i) % 64]);
    });
    for (const LimitPolicy& policy : limits_->policies()) {
      measure(policy.name + ", one subject", 1,
              [&](int, int) { check({{.policy = policy.name, .subject = "user:1"}}); });
    }
    measure("gcra, 131,072 subjects", 1, [this](int, int i) { check_one_of_many(i); });
    measure("gcra, one subject", all,
            [this](int, int) { check({{.policy = "gcra", .subject = "user:1"}}); });
    measure("gcra, 131,072 subjects", all,
            [this](int t, int i) { check_one_of_many(i + t * 7919); });
    measure("gcra, user and tenant and address", 1, [this](int, int) {
      check({{.policy = "gcra", .subject = "user:1"},
             {.policy = "gcra", .subject = "tenant:default"},
             {.policy = "gcra", .subject = "ip:203.0.113.7"}});
    });
  }

 private:
  static std::vector<LimitPolicy> policies() {
    return {policy_of("gcra", LimitAlgorithm::gcra),
            policy_of("sliding_window", LimitAlgorithm::sliding_window),
            policy_of("sliding_log", LimitAlgorithm::sliding_log),
            policy_of("fixed_window", LimitAlgorithm::fixed_window),
            policy_of("calendar_window", LimitAlgorithm::calendar_window)};
  }

  void check(std::initializer_list<LimitCheck> checks) {
    const auto decision = limits_->check_now(context_, checks);
    if (!decision || !*decision) std::abort();
  }
  void check_one_of_many(int i) {
    const auto index = static_cast<std::size_t>(i) * 7919 % subjects_.size();
    check({{.policy = "gcra", .subject = subjects_[index]}});
  }

  SystemClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  Caller caller_;
  Context context_{.caller = caller_, .request_id = {}, .client_address = {}, .user_agent = {}};
  std::vector<std::string> subjects_;
  std::unique_ptr<record::Record> record_;
  local::LimitEngine engine_;
  std::unique_ptr<Limits> limits_;
};

}  // namespace
}  // namespace redoubt

int main() {
  redoubt::Bench().run();
}
