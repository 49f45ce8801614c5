#include "tests/sim/twins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::sim {
namespace {

using wire::resp::Value;

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// What string.gmatch(text, '-?%d+') finds; 0 where there is less.
struct Numbers {
  std::array<std::int64_t, 3> at{};
  std::size_t count = 0;
};
Numbers numbers(const std::string* text) {
  Numbers out;
  if (text == nullptr) return out;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at < end && out.count < out.at.size()) {
    const auto read = std::from_chars(at, end, out.at[out.count]);
    if (read.ec == std::errc()) ++out.count;
    at = read.ec == std::errc() ? read.ptr : at + 1;
  }
  return out;
}

std::int64_t ms_up(std::int64_t us) {
  return us >= 0 ? (us + 999) / 1000 : -(-us / 1000);
}

// The PXAT of a TAT, in ms.
std::int64_t ends_of(std::int64_t tat) {
  return tat / 1000 + 1001;
}

// Without a rest of 0, as limits.lua writes it.
std::string tat_text(std::int64_t whole, std::int64_t rest) {
  return rest == 0 ? fmt::format("{}", whole) : fmt::format("{}:{}", whole, rest);
}

// ---- limits.lua ----

class Reader {
 public:
  explicit Reader(std::span<const std::string_view> arguments) : arguments_(arguments) {}
  std::string_view text() { return arguments_[at_++]; }
  std::int64_t next() { return number(text()); }

 private:
  std::span<const std::string_view> arguments_;
  std::size_t at_ = 0;
};

class Limit {
 public:
  Limit(ScriptCall& call, std::string_view key, std::string_view operation)
      : call_(call), key_(key), operation_(operation) {}
  virtual ~Limit() = default;

  virtual void charge() = 0;
  virtual void refund() = 0;
  virtual void withdraw() {}  // GCRA alone.
  virtual void keep() = 0;
  virtual std::array<std::int64_t, 3> memory() const = 0;

  bool admits = false;
  bool changed = false;

 protected:
  std::int64_t now() const { return call_.now_us; }
  Numbers kept() const { return numbers(call_.keyspace.text(key_, call_.now_ms())); }
  void store(std::int64_t ttl_us, std::string text) {
    call_.keyspace.set(key_, std::move(text), call_.now_ms() + ms_up(ttl_us) + 1000);
  }

  ScriptCall& call_;
  const std::string_view key_;
  const std::string_view operation_;
};

class Gcra final : public Limit {
 public:
  Gcra(ScriptCall& call, std::string_view key, std::string_view operation, Reader& in)
      : Limit(call, key, operation),
        price_(in.next()),
        price_rest_(in.next()),
        tau_(in.next()),
        tau_rest_(in.next()),
        limit_(in.next()),
        interval_(in.next()) {
    const std::int64_t debt = in.next();
    const bool counts = in.next() == 1;
    if (operation == "withdraw") charged_ = in.next(), charged_rest_ = in.next();
    const Numbers memory = kept();
    tat_ = memory.at[0], rest_ = memory.at[1];
    untouched_ = memory.count > 0 && tat_ == charged_ && rest_ == charged_rest_;
    const std::int64_t latest = now() + tau_ + interval_;
    if (tat_ > latest) tat_ = latest, rest_ = 0, changed = true;
    if ((counts || memory.count == 0) && tat_ < now() + debt) tat_ = now() + debt, rest_ = 0;
    if (tat_ < now()) tat_ = now(), rest_ = 0;
    whole_ = tat_ + price_, part_ = rest_ + price_rest_;
    if (part_ >= limit_) ++whole_, part_ -= limit_;
    const std::int64_t most = now() + tau_;
    admits = whole_ < most || (whole_ == most && part_ <= tau_rest_);
  }
  void charge() override { tat_ = whole_, rest_ = part_; }
  void refund() override {
    tat_ -= price_, rest_ -= price_rest_;
    if (rest_ < 0) --tat_, rest_ += limit_;
    if (tat_ < now()) tat_ = now(), rest_ = 0;
  }
  void withdraw() override {
    std::int64_t regained = 0;
    if (!untouched_) regained = std::max<std::int64_t>(now() - (charged_ - price_) + 1, 0);
    if (regained > price_) return;
    tat_ += regained;
    refund();
  }
  void keep() override {
    const std::int64_t ttl = operation_ == "take" ? tat_ - now() + 1 : tau_ + 1;
    store(ttl, tat_text(tat_, rest_));
  }
  std::array<std::int64_t, 3> memory() const override { return {tat_, rest_, 0}; }

 private:
  std::int64_t price_, price_rest_, tau_, tau_rest_, limit_, interval_;
  std::int64_t tat_ = 0, rest_ = 0, whole_ = 0, part_ = 0;
  std::int64_t charged_ = 0, charged_rest_ = 0;
  bool untouched_ = false;
};

class SlidingWindow final : public Limit {
 public:
  SlidingWindow(ScriptCall& call, std::string_view key, std::string_view operation, Reader& in)
      : Limit(call, key, operation), cost_(in.next()) {
    const std::int64_t limit = in.next();
    period_ = in.next();
    const bool exact = in.next() == 1;
    const Numbers memory = kept();
    start_ = memory.at[0], current_ = memory.at[1], previous_ = memory.at[2];
    const std::int64_t window = now() - now() % period_;
    if (start_ > window + period_) {
      start_ = window + period_, changed = true;
    } else if (start_ < window) {
      previous_ = start_ + period_ == window ? current_ : 0;
      start_ = window, current_ = 0;
    }
    const std::int64_t left = period_ - std::max<std::int64_t>(now() - start_, 0);
    if (exact) {
      admits = cost_ * period_ <= (limit - current_) * period_ - previous_ * left;
    } else {
      const double weighed =
          static_cast<double>(previous_) * static_cast<double>(left) / static_cast<double>(period_);
      admits = static_cast<double>(cost_) <=
               static_cast<double>(limit - current_) - std::ceil(weighed) - 1;
    }
  }
  void charge() override { current_ += cost_; }
  void refund() override {
    const std::int64_t from_current = std::min(cost_, current_);
    current_ -= from_current;
    previous_ = std::max<std::int64_t>(previous_ - (cost_ - from_current), 0);
  }
  void keep() override {
    store(start_ + 2 * period_ - now(), fmt::format("{}:{}:{}", start_, current_, previous_));
  }
  std::array<std::int64_t, 3> memory() const override { return {start_, current_, previous_}; }

 private:
  std::int64_t cost_, period_ = 1, start_ = 0, current_ = 0, previous_ = 0;
};

class Window final : public Limit {
 public:
  Window(ScriptCall& call, std::string_view key, std::string_view operation, Reader& in, char kind)
      : Limit(call, key, operation), cost_(in.next()) {
    const std::int64_t limit = in.next();
    if (kind == 'w') {
      const std::int64_t period = in.next();
      first_ = now() - now() % period;
      last_ = first_ + period;
    } else {
      std::array<std::int64_t, 4> starts{};
      for (std::int64_t& start : starts) start = in.next();
      std::size_t month = 1;
      if (now() < starts[1]) month = 0;
      if (now() >= starts[2]) month = 2;
      first_ = starts[month], last_ = starts[month + 1];
    }
    const Numbers memory = kept();
    start_ = memory.at[0], used_ = memory.at[1];
    if (start_ > last_) {
      start_ = last_, changed = true;
    } else if (start_ < first_) {
      start_ = first_, used_ = 0;
    }
    admits = cost_ <= limit - used_;
  }
  void charge() override { used_ += cost_; }
  void refund() override { used_ = std::max<std::int64_t>(used_ - cost_, 0); }
  void keep() override {
    store(std::max(start_, first_) - first_ + last_ - now(), fmt::format("{}:{}", start_, used_));
  }
  std::array<std::int64_t, 3> memory() const override { return {start_, used_, 0}; }

 private:
  std::int64_t cost_, first_ = 0, last_ = 0, start_ = 0, used_ = 0;
};

class SlidingLog final : public Limit {
 public:
  SlidingLog(ScriptCall& call, std::string_view key, std::string_view operation, Reader& in)
      : Limit(call, key, operation), cost_(in.next()), limit_(in.next()), period_(in.next()) {
    Keyspace::List* const entries = call_.keyspace.list(key_, call_.now_ms());
    std::size_t expired = 0;
    if (entries != nullptr) expired = tidy(*entries);
    if (entries != nullptr && entries->size() > expired) {
      const Numbers oldest = numbers(&(*entries)[expired]);
      const Numbers last = numbers(&entries->back());
      base_ = oldest.at[2] - oldest.at[1];
      sum_ = last.at[2];
      newest_ = std::min(last.at[0], now());
    }
    total_ = sum_ - base_;
    admits = cost_ <= limit_ - total_;
    if (!admits && cost_ <= limit_) {
      admitted_at_ = std::min(freed_at(*entries, total_ + cost_ - limit_), now()) + period_;
    }
    forget_if_empty();
  }
  void charge() override {
    push({now(), cost_, sum_ + cost_});
    total_ += cost_, newest_ = now();
  }
  void refund() override {
    std::int64_t back = std::min(cost_, total_);
    total_ -= back;
    while (back > 0) {
      Keyspace::List& entries = *call_.keyspace.list(key_, call_.now_ms());
      const Numbers e = numbers(&entries.back());
      entries.pop_back();
      if (e.at[1] > back) push({e.at[0], e.at[1] - back, e.at[2] - back});
      back -= std::min(back, e.at[1]);
    }
    const auto* const left = call_.keyspace.list(key_, call_.now_ms());
    if (total_ > 0) newest_ = std::min(numbers(&left->back()).at[0], now());
    forget_if_empty();
  }
  void keep() override {
    call_.keyspace.expire(key_, call_.now_ms() + ms_up(period_) + 1000, call_.now_ms());
  }
  std::array<std::int64_t, 3> memory() const override { return {total_, admitted_at_, newest_}; }

 private:
  static std::string text_of(const std::array<std::int64_t, 3>& e) {
    return fmt::format("{}:{}:{}", e[0], e[1], e[2]);
  }
  void push(const std::array<std::int64_t, 3>& e) {
    call_.keyspace.make_list(key_, call_.now_ms()).push_back(text_of(e));
  }
  void forget_if_empty() {
    const auto* const entries = call_.keyspace.list(key_, call_.now_ms());
    if (entries != nullptr && entries->empty()) call_.keyspace.erase(key_, call_.now_ms());
  }
  // Later entries become entries of now, and those that are over go; a peek leaves all as it is.
  std::size_t tidy(Keyspace::List& entries) {
    const bool writes = operation_ != "peek";
    for (auto it = entries.rbegin(); writes && it != entries.rend(); ++it) {
      const Numbers e = numbers(&*it);
      if (e.at[0] <= now()) break;
      *it = text_of({now(), e.at[1], e.at[2]});
      changed = true;
    }
    std::size_t expired = 0;
    while (expired < entries.size()) {
      if (std::min(numbers(&entries[expired]).at[0], now()) > now() - period_) break;
      ++expired;
    }
    if (!writes) return expired;
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(expired));
    return 0;
  }
  std::int64_t freed_at(const Keyspace::List& entries, std::int64_t excess) const {
    std::size_t low = 0, high = entries.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (numbers(&entries[middle]).at[2] - base_ >= excess) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return numbers(&entries[low]).at[0];
  }

  std::int64_t cost_, limit_, period_;
  std::int64_t base_ = 0, sum_ = 0, newest_ = 0, total_ = 0, admitted_at_ = 0;
};

std::unique_ptr<Limit> limit_of(ScriptCall& call, std::string_view key, std::string_view operation,
                                Reader& in) {
  const char kind = in.text().front();
  switch (kind) {
    case 'g':
      return std::make_unique<Gcra>(call, key, operation, in);
    case 's':
      return std::make_unique<SlidingWindow>(call, key, operation, in);
    case 'l':
      return std::make_unique<SlidingLog>(call, key, operation, in);
    default:
      return std::make_unique<Window>(call, key, operation, in, kind);
  }
}

Value run_limits(ScriptCall& call) {
  Reader in(call.arguments);
  const std::string_view operation = in.text();
  std::vector<std::unique_ptr<Limit>> limits;
  bool all = true;
  for (const std::string_view key : call.keys) {
    limits.push_back(limit_of(call, key, operation, in));
    all = all && limits.back()->admits;
  }
  const bool charged = operation == "take" && all;
  const bool refunds = operation == "refund";
  const bool withdraws = operation == "withdraw";
  std::vector<Value> reply{Value::integer(charged), Value::integer(call.now_us)};
  for (const auto& limit : limits) {
    if (charged) limit->charge();
    if (refunds) limit->refund();
    if (withdraws) limit->withdraw();
    const bool writes = charged || refunds || withdraws || limit->changed;
    if (operation != "peek" && writes) limit->keep();
    reply.push_back(Value::integer(limit->admits));
    for (const std::int64_t n : limit->memory()) reply.push_back(Value::integer(n));
  }
  return Value::array(std::move(reply));
}

// ---- limits_gcra.lua ----

struct Tat {
  std::int64_t whole, part;
  bool admits, turned;
};

Tat next_tat(ScriptCall& call, std::string_view key, std::span<const std::int64_t, 8> a) {
  const std::int64_t now = call.now_us;
  const std::string* const kept = call.keyspace.text(key, call.now_ms());
  const Numbers memory = numbers(kept);
  std::int64_t tat = memory.at[0], rest = memory.at[1];
  bool turned = false;
  if (tat > now + a[2] + a[5]) tat = now + a[2] + a[5], rest = 0, turned = true;
  if ((kept == nullptr || a[7] == 1) && tat < now + a[6]) tat = now + a[6], rest = 0;
  if (tat < now) tat = now, rest = 0;
  std::int64_t whole = tat + a[0], part = rest + a[1];
  if (part >= a[4]) ++whole, part -= a[4];
  const std::int64_t most = now + a[2];
  return {whole, part, whole < most || (whole == most && part <= a[3]), turned};
}

Value run_limits_gcra(ScriptCall& call) {
  constexpr std::size_t kEach = 8;
  std::vector<Tat> tats;
  std::vector<std::array<std::int64_t, kEach>> arguments(call.keys.size());
  bool all = true;
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    for (std::size_t n = 0; n < kEach; ++n) arguments[i][n] = number(call.arguments[i * kEach + n]);
    tats.push_back(next_tat(call, call.keys[i], arguments[i]));
    all = all && tats.back().admits;
  }
  std::vector<Value> reply{Value::integer(all), Value::integer(call.now_us)};
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    Tat& tat = tats[i];
    if (!all) {
      tat.whole -= arguments[i][0], tat.part -= arguments[i][1];
      if (tat.part < 0) --tat.whole, tat.part += arguments[i][4];
    }
    if (all || tat.turned) {
      call.keyspace.set(call.keys[i], fmt::format("{}:{}", tat.whole, tat.part),
                        ends_of(tat.whole));
    }
    for (const std::int64_t n : {std::int64_t{tat.admits}, tat.whole, tat.part, std::int64_t{0}}) {
      reply.push_back(Value::integer(n));
    }
  }
  return Value::array(std::move(reply));
}

// ---- limits_gcra_whole.lua ----

Value run_limits_gcra_whole(ScriptCall& call) {
  constexpr std::size_t kEach = 4;
  const std::int64_t now = call.now_us;
  std::vector<std::int64_t> owed;
  std::vector<bool> turned;
  bool all = true;
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    const auto a = [&](std::size_t n) { return number(call.arguments[i * kEach + n]); };
    const std::string* const kept = call.keyspace.text(call.keys[i], call.now_ms());
    std::int64_t tat = numbers(kept).at[0];
    const std::int64_t latest = now + a(1) + a(2);
    turned.push_back(kept != nullptr && tat > latest);
    if (turned.back()) tat = latest;
    std::int64_t debt = a(3);
    if (debt < 0) debt = kept != nullptr ? 0 : -debt;
    tat = std::max(tat, now + debt);
    const std::int64_t charged = tat + a(0);
    const bool admits = charged <= now + a(1);
    owed.push_back(admits ? charged - now : now - tat - 1);
    all = all && admits;
  }
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    if (!all && owed[i] >= 0) owed[i] -= number(call.arguments[i * kEach]);
    if (!all && !turned[i]) continue;
    const std::int64_t tat = now + (owed[i] < 0 ? -1 - owed[i] : owed[i]);
    call.keyspace.set(call.keys[i], fmt::format("{}", tat), ends_of(tat));
  }
  if (call.arguments.size() > call.keys.size() * kEach) owed.push_back(now);
  if (owed.size() == 1) return Value::integer(owed[0]);
  std::vector<Value> reply;
  for (const std::int64_t n : owed) reply.push_back(Value::integer(n));
  return Value::array(std::move(reply));
}

// ---- give_back.lua ----

Value run_give_back(ScriptCall& call) {
  const std::string* const held = call.keyspace.text(call.keys[0], call.now_ms());
  if (held == nullptr || *held != call.arguments[0]) return Value::integer(0);
  return Value::integer(call.keyspace.erase(call.keys[0], call.now_ms()));
}

// ---- set_if_newer.lua ----

Value run_set_if_newer(ScriptCall& call) {
  constexpr std::size_t kDigits = 19;
  const std::string* const there = call.keyspace.text(call.keys[0], call.now_ms());
  if (there != nullptr && there->size() >= kDigits) {
    const std::string_view have = std::string_view(*there).substr(0, kDigits);
    const bool digits = std::ranges::all_of(have, [](char c) { return c >= '0' && c <= '9'; });
    if (digits && have > call.arguments[1].substr(0, kDigits)) return Value::integer(0);
  }
  call.keyspace.set(call.keys[0], std::string(call.arguments[1]),
                    call.now_ms() + number(call.arguments[0]));
  return Value::integer(1);
}

constexpr std::array kTwins{
    Twin{"give_back.lua", "68e93875bd7493d17b819dece6d8946544a7abfc", run_give_back},
    Twin{"limits.lua", "c8efaf28c55b524fd9e52fece03ae35983bd3ed8", run_limits},
    Twin{"limits_gcra.lua", "3fb0ab55d04bd4681f082f5902f81cfda1486288", run_limits_gcra},
    Twin{"limits_gcra_whole.lua", "202555fe33f28beb9e86e69f7828a767fa769d5f",
         run_limits_gcra_whole},
    Twin{"set_if_newer.lua", "8ec99fbc4f49e524c86b07669547efcf63ab18c2", run_set_if_newer},
};

}  // namespace

std::span<const Twin> twins() {
  return kTwins;
}

const Twin* twin_of(std::string_view sha) {
  const auto* const it = std::ranges::find(kTwins, sha, &Twin::sha);
  return it == kTwins.end() ? nullptr : it;
}

}  // namespace redoubt::sim
