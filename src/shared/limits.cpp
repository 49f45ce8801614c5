#include "shared/limits.hpp"

#include "shared_scripts.hpp"

#include "base/assert.hpp"

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

// Whole microseconds are all there is to its memory.
bool is_whole(const LimitUse& use) {
  return use.algorithm == LimitAlgorithm::gcra && use.period_us % use.limit == 0;
}

struct GcraNumbers {
  Price price;
  Price tau;
  std::int64_t interval;  // T, rounded up.
};
GcraNumbers gcra_numbers(const LimitUse& use) {
  GcraNumbers numbers;
  numbers.tau = price_of(use, use.burst);
  numbers.price = use.cost > use.burst ? Price{numbers.tau.whole + 1, numbers.tau.rest}
                                       : price_of(use, use.cost);
  numbers.interval = price_of(use, 1).whole + 1;
  return numbers;
}

void add_gcra(const LimitUse& use, redis::Command& out) {
  const GcraNumbers numbers = gcra_numbers(use);
  out.arg(numbers.price.whole).arg(numbers.price.rest);
  out.arg(numbers.tau.whole).arg(numbers.tau.rest);
  out.arg(use.limit).arg(numbers.interval);
  out.arg(use.debt_us).arg(std::int64_t{use.debt_is_newer});
}

void add_whole(const LimitUse& use, redis::Command& out) {
  const GcraNumbers numbers = gcra_numbers(use);
  out.arg(numbers.price.whole).arg(numbers.tau.whole).arg(numbers.interval);
  out.arg(use.debt_is_newer ? use.debt_us : -use.debt_us);
}

// The starts of last month, this one, the next and the one after it, in UTC.
void add_months(WallTime now, redis::Command& out) {
  using namespace std::chrono;
  const sys_time<milliseconds> instant{milliseconds(now.ms)};
  const year_month_day today{floor<days>(instant)};
  for (int offset = -1; offset <= 2; ++offset) {
    const year_month month = year_month{today.year(), today.month()} + months{offset};
    const sys_days start{month / 1};
    out.arg(duration_cast<microseconds>(start.time_since_epoch()).count());
  }
}

void add_limit(const LimitUse& use, WallTime now, redis::Command& out) {
  switch (use.algorithm) {
    case LimitAlgorithm::gcra:
      out.arg("g");
      return add_gcra(use, out);
    case LimitAlgorithm::sliding_window: {
      out.arg("s").arg(use.cost).arg(use.limit).arg(use.period_us);
      const Int128 product = static_cast<Int128>(use.limit) * use.period_us;
      out.arg(std::int64_t{product < kExactProductMax && use.cost <= use.limit});
      return;
    }
    case LimitAlgorithm::sliding_log:
      out.arg("l");
      break;
    case LimitAlgorithm::fixed_window:
    case LimitAlgorithm::calendar_window:
      out.arg(use.period_us > 0 ? "w" : "m");
      break;
  }
  out.arg(use.cost).arg(use.limit);
  if (use.period_us > 0) {
    out.arg(use.period_us);
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

// Of limits_gcra_whole.lua.
Result<LimitsReply> read_debts(const redis::Value& value, std::size_t limits) {
  const std::span<const redis::Value> items =
      value.is_aggregate() ? value.items() : std::span(&value, 1);
  if (items.size() < limits || items.size() > limits + 1) return fail(unreadable());
  LimitsReply reply;
  reply.charged = true;
  if (items.size() > limits) reply.now_us = items.back().as_integer();
  for (const redis::Value& item : items.first(limits)) {
    if (item.kind() != wire::resp::Kind::integer) return fail(unreadable());
    const std::int64_t owed = item.as_integer();
    LimitMemory& memory = reply.limits.emplace_back();
    memory.admits = owed >= 0;
    memory.numbers[0] = reply.now_us + (owed >= 0 ? owed : -1 - owed);
    reply.charged = reply.charged && memory.admits;
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
const redis::Script& whole_script() {
  static const redis::Script script{std::string(scripts::f_limits_gcra_whole_lua)};
  return script;
}

using Read = Result<LimitsReply> (*)(const redis::Value& value, std::size_t limits);

// What is sent, and how its answer is read.
struct Question {
  redis::Command command;
  Read read;
  std::size_t limits;
};

class SentQuestion final : public SentTake {
 public:
  SentQuestion(std::unique_ptr<redis::Sent> sent, SharedState& state, Read read, std::size_t limits)
      : sent_(std::move(sent)), state_(state), read_(read), limits_(limits) {}

  Task<LimitsReply> reply() override {
    const auto value = co_await sent_->reply();
    co_return heard(value, state_, read_, limits_);
  }

  static Result<LimitsReply> heard(const Result<redis::Value>& value, SharedState& state, Read read,
                                   std::size_t limits) {
    if (!value) {
      state.failed(value.error());
      return fail(value.error());
    }
    state.answered();
    return read(*value, limits);
  }

 private:
  std::unique_ptr<redis::Sent> sent_;
  SharedState& state_;
  const Read read_;
  const std::size_t limits_;
};

class RedisLimits final : public SharedLimits {
 public:
  explicit RedisLimits(const SharedLimitsParts& parts)
      : parts_(parts), keys_(parts.state.generation()) {}

  bool usable() const override { return parts_.state.counts(); }

  Task<LimitsReply> take(std::string_view tenant, std::span<const LimitUse> uses) override {
    return ask(take_of(tenant, uses, false));
  }
  Task<LimitsReply> peek(std::string_view tenant, std::span<const LimitUse> uses) override {
    return ask(any("peek", tenant, uses));
  }
  Task<LimitsReply> refund(std::string_view tenant, std::span<const LimitUse> uses) override {
    return ask(any("refund", tenant, uses));
  }
  Task<void> reset(std::string_view tenant, const LimitUse& use) override {
    return send_reset(use.algorithm == LimitAlgorithm::gcra ? forgiven(tenant, use)
                                                            : forgotten(tenant, use));
  }

  std::unique_ptr<SentTake> send_take(std::string_view tenant,
                                      std::span<const LimitUse> uses) override {
    RD_ASSERT(std::ranges::all_of(uses, can_withdraw), "only GCRA can be withdrawn");
    Question question = take_of(tenant, uses, true);
    return std::make_unique<SentQuestion>(parts_.client.send(std::move(question.command)),
                                          parts_.state, question.read, question.limits);
  }

  Task<LimitsReply> withdraw(std::string_view tenant, std::span<const LimitUse> uses,
                             const LimitsReply& taken) override {
    RD_ASSERT(taken.charged && taken.now_us > 0 && taken.limits.size() == uses.size(),
              "what is withdrawn was charged");
    Question question = start(any_script(), &read_reply, tenant, uses);
    question.command.arg("withdraw");
    for (std::size_t i = 0; i < uses.size(); ++i) {
      question.command.arg("g");
      add_gcra(uses[i], question.command);
      question.command.arg(taken.limits[i].numbers[0]).arg(taken.limits[i].numbers[1]);
    }
    return ask(std::move(question));
  }

 private:
  std::string_view key_of(std::string_view tenant, const LimitUse& use) {
    const std::int64_t generation = parts_.state.generation();
    if (generation != keys_.generation()) keys_ = KeySpace(generation);
    const std::array<std::string_view, 3> segments{use.policy, use.identity, use.subject};
    key_.clear();
    keys_.append_key(key_, tenant, Noun::ratelimit, segments);
    return key_;
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
    command.key(key_of(tenant, use)).arg("0").arg("PX").arg(longest_ms + 1000).repeatable();
    return command;
  }

  Task<void> send_reset(redis::Command command) {
    command.within(parts_.state.deadline());
    const auto done = co_await parts_.client.run(std::move(command));
    if (!done) {
      parts_.state.failed(done.error());
      co_return fail(done.error());
    }
    parts_.state.answered();
    co_return Result<void>{};
  }

  Question start(const redis::Script& script, Read read, std::string_view tenant,
                 std::span<const LimitUse> uses) {
    RD_ASSERT(!uses.empty(), "a decision about no limits needs no Redis");
    Question question{script.start(uses.size()), read, uses.size()};
    for (const LimitUse& use : uses) question.command.key(key_of(tenant, use));
    question.command.within(parts_.state.deadline());
    return question;
  }

  Question any(std::string_view operation, std::string_view tenant,
               std::span<const LimitUse> uses) {
    const WallTime now = parts_.clock.wall();
    Question question = start(any_script(), &read_reply, tenant, uses);
    question.command.arg(operation);
    for (const LimitUse& use : uses) add_limit(use, now, question.command);
    return question;
  }

  // By the cheapest script that knows all of them.
  Question take_of(std::string_view tenant, std::span<const LimitUse> uses, bool with_clock) {
    if (std::ranges::all_of(uses, is_whole)) {
      Question question = start(whole_script(), &read_debts, tenant, uses);
      for (const LimitUse& use : uses) add_whole(use, question.command);
      if (with_clock) question.command.arg("1");
      return question;
    }
    if (!std::ranges::all_of(uses, can_withdraw)) return any("take", tenant, uses);
    Question question = start(gcra_script(), &read_reply, tenant, uses);
    for (const LimitUse& use : uses) add_gcra(use, question.command);
    return question;
  }

  Task<LimitsReply> ask(Question question) {
    const auto value = co_await parts_.client.run(std::move(question.command));
    co_return SentQuestion::heard(value, parts_.state, question.read, question.limits);
  }

  const SharedLimitsParts parts_;
  KeySpace keys_;    // Of the present generation.
  std::string key_;  // The last that was made.
};

}  // namespace

bool can_withdraw(const LimitUse& use) {
  return use.algorithm == LimitAlgorithm::gcra;
}

std::unique_ptr<SharedLimits> make_shared_limits(const SharedLimitsParts& parts) {
  return std::make_unique<RedisLimits>(parts);
}

}  // namespace redoubt::shared
