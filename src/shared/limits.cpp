#include "shared/limits.hpp"

#include "shared_scripts.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace redoubt::shared {
namespace {

__extension__ typedef __int128 Int128;

constexpr std::int64_t kMicrosPerMs = 1000;
constexpr std::int64_t kExactProductMax = std::int64_t{1} << 52;
constexpr std::size_t kReplyHead = 2;
constexpr std::size_t kReplyOfLimit = 4;
constexpr std::size_t kArgumentsMax = 9;  // Of a limit.

// The arguments of the script: numbers as text, kept where views can point to.
class Arguments {
 public:
  explicit Arguments(std::size_t limits) { texts_.reserve(1 + limits * kArgumentsMax); }

  void add(std::string_view text) { texts_.emplace_back(text); }
  void add(std::int64_t number) { texts_.push_back(fmt::to_string(number)); }

  std::vector<std::string_view> views() const { return {texts_.begin(), texts_.end()}; }

 private:
  std::vector<std::string> texts_;
};

// `cost` periods over the limit, in whole microseconds and the rest in 1/limit of one. A cost that
// never fits is priced just above what fits, so that no number leaves the range of the script.
struct Price {
  std::int64_t whole;
  std::int64_t rest;
};
Price price_of(const LimitUse& use, std::int64_t cost) {
  const Int128 scaled = static_cast<Int128>(cost) * use.period_us;
  return {static_cast<std::int64_t>(scaled / use.limit),
          static_cast<std::int64_t>(scaled % use.limit)};
}

void add_gcra(const LimitUse& use, Arguments& out) {
  const Price tau = price_of(use, use.burst);
  const Price price =
      use.cost > use.burst ? Price{tau.whole + 1, tau.rest} : price_of(use, use.cost);
  out.add(price.whole);
  out.add(price.rest);
  out.add(tau.whole);
  out.add(tau.rest);
  out.add(use.limit);
  out.add(price_of(use, 1).whole + 1);
  out.add(use.debt_us);
  out.add(std::int64_t{use.debt_is_newer});
}

// The starts of last month, this one, the next and the one after it, in UTC.
void add_months(WallTime now, Arguments& out) {
  using namespace std::chrono;
  const sys_time<milliseconds> instant{milliseconds(now.ms)};
  const year_month_day today{floor<days>(instant)};
  for (int offset = -1; offset <= 2; ++offset) {
    const year_month month = year_month{today.year(), today.month()} + months{offset};
    const sys_days start{month / 1};
    out.add(duration_cast<microseconds>(start.time_since_epoch()).count());
  }
}

void add_limit(const LimitUse& use, WallTime now, Arguments& out) {
  switch (use.algorithm) {
    case LimitAlgorithm::gcra:
      out.add("g");
      return add_gcra(use, out);
    case LimitAlgorithm::sliding_window: {
      out.add("s");
      out.add(use.cost);
      out.add(use.limit);
      out.add(use.period_us);
      const Int128 product = static_cast<Int128>(use.limit) * use.period_us;
      return out.add(std::int64_t{product < kExactProductMax && use.cost <= use.limit});
    }
    case LimitAlgorithm::sliding_log:
      out.add("l");
      break;
    case LimitAlgorithm::fixed_window:
    case LimitAlgorithm::calendar_window:
      out.add(use.period_us > 0 ? "w" : "m");
      break;
  }
  out.add(use.cost);
  out.add(use.limit);
  if (use.period_us > 0) {
    out.add(use.period_us);
  } else {
    add_months(now, out);
  }
}

Error unreadable() {
  return internal("the script of limits answered in another form");
}

Result<LimitsReply> read_reply(const redis::Value& value, std::size_t limits) {
  const auto items = value.items();
  if (items.size() != kReplyHead + limits * kReplyOfLimit) return fail(unreadable());
  LimitsReply reply;
  reply.charged = items[0].as_integer() == 1;
  reply.now_us = items[1].as_integer();
  for (std::size_t i = kReplyHead; i < items.size(); i += kReplyOfLimit) {
    LimitMemory& memory = reply.limits.emplace_back();
    memory.admits = items[i].as_integer() == 1;
    for (std::size_t n = 0; n < memory.numbers.size(); ++n) {
      memory.numbers[n] = items[i + 1 + n].as_integer();
    }
  }
  return reply;
}

const redis::Script& any_script() {
  static const redis::Script script{std::string(scripts::f_limits_lua)};
  return script;
}
const redis::Script& gcra_script() {
  static const redis::Script script{std::string(scripts::f_limits_gcra_lua)};
  return script;
}

bool is_gcra(const LimitUse& use) {
  return use.algorithm == LimitAlgorithm::gcra;
}

class RedisLimits final : public SharedLimits {
 public:
  explicit RedisLimits(const SharedLimitsParts& parts)
      : parts_(parts), keys_(parts.state.generation()) {}

  bool usable() const override { return parts_.state.usable(); }

  Task<LimitsReply> take(std::string tenant, std::vector<LimitUse> uses) override {
    if (std::ranges::all_of(uses, is_gcra)) return take_gcra(std::move(tenant), std::move(uses));
    return run("take", std::move(tenant), std::move(uses));
  }
  Task<LimitsReply> peek(std::string tenant, std::vector<LimitUse> uses) override {
    return run("peek", std::move(tenant), std::move(uses));
  }
  Task<LimitsReply> refund(std::string tenant, std::vector<LimitUse> uses) override {
    return run("refund", std::move(tenant), std::move(uses));
  }

  Task<void> reset(std::string tenant, LimitUse use) override {
    redis::Command command =
        use.algorithm == LimitAlgorithm::gcra ? forgiven(tenant, use) : forgotten(tenant, use);
    command.within(parts_.state.deadline());
    auto done = co_await parts_.client.run(std::move(command));
    note(done);
    RD_CO_CHECK(std::move(done));
    co_return Result<void>{};
  }

 private:
  std::string key_of(std::string_view tenant, const LimitUse& use) {
    const std::int64_t generation = parts_.state.generation();
    if (generation != keys_.generation()) keys_ = KeySpace(generation);
    const std::array<std::string_view, 3> segments{use.policy, use.identity, use.subject};
    return keys_.key(tenant, Noun::ratelimit, segments);
  }

  void note(const Result<redis::Value>& done) {
    if (done) {
      parts_.state.answered();
    } else {
      parts_.state.failed(done.error());
    }
  }

  redis::Command forgotten(std::string_view tenant, const LimitUse& use) {
    redis::Command command("DEL");
    command.key(key_of(tenant, use)).repeatable();
    return command;
  }

  // Memory of no debt, which outlives what other instances remember of it.
  redis::Command forgiven(std::string_view tenant, const LimitUse& use) {
    const std::int64_t longest_ms = price_of(use, use.burst).whole / kMicrosPerMs;
    redis::Command command("SET");
    command.key(key_of(tenant, use)).arg("0:0").arg("PX").arg(longest_ms + 1000).repeatable();
    return command;
  }

  Task<LimitsReply> run(std::string_view operation, std::string tenant,
                        std::vector<LimitUse> uses) {
    const WallTime now = parts_.clock.wall();
    Arguments arguments(uses.size());
    arguments.add(operation);
    for (const LimitUse& use : uses) add_limit(use, now, arguments);
    co_return co_await ask(any_script(), tenant, uses, arguments);
  }

  Task<LimitsReply> take_gcra(std::string tenant, std::vector<LimitUse> uses) {
    Arguments arguments(uses.size());
    for (const LimitUse& use : uses) add_gcra(use, arguments);
    co_return co_await ask(gcra_script(), tenant, uses, arguments);
  }

  Task<LimitsReply> ask(const redis::Script& script, std::string_view tenant,
                        const std::vector<LimitUse>& uses, const Arguments& arguments) {
    RD_ASSERT(!uses.empty(), "a decision about no limits needs no Redis");
    std::vector<std::string> keys;
    keys.reserve(uses.size());
    for (const LimitUse& use : uses) keys.push_back(key_of(tenant, use));
    const std::vector<std::string_view> key_views(keys.begin(), keys.end());
    const std::vector<std::string_view> argument_views = arguments.views();
    redis::Command command = script.command(key_views, argument_views);
    command.within(parts_.state.deadline());
    auto value = co_await parts_.client.run(std::move(command));
    note(value);
    if (!value) co_return fail(std::move(value).error());
    co_return read_reply(*value, uses.size());
  }

  const SharedLimitsParts parts_;
  KeySpace keys_;  // Of the present generation.
};

}  // namespace

std::unique_ptr<SharedLimits> make_shared_limits(const SharedLimitsParts& parts) {
  return std::make_unique<RedisLimits>(parts);
}

}  // namespace redoubt::shared
