#include "config/limit_policy.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kCountMax = 1'000'000'000;
constexpr std::int64_t kLogMax = 10'000;  // A sliding log remembers each admission.
constexpr std::int64_t kBurstDefault = 10;
constexpr Duration kPeriodMax = 24h * 366;

constexpr std::array<std::pair<std::string_view, LimitAlgorithm>, 5> kAlgorithms{{
    {"gcra", LimitAlgorithm::gcra},
    {"sliding_window", LimitAlgorithm::sliding_window},
    {"sliding_log", LimitAlgorithm::sliding_log},
    {"fixed_window", LimitAlgorithm::fixed_window},
    {"calendar_window", LimitAlgorithm::calendar_window},
}};

constexpr std::array<std::pair<std::string_view, LimitClass>, 2> kClasses{{
    {"soft", LimitClass::soft},
    {"strict", LimitClass::strict},
}};

constexpr std::array<std::pair<std::string_view, WithoutRedis>, 3> kWithoutRedis{{
    {"share", WithoutRedis::share},
    {"refuse", WithoutRedis::refuse},
    {"open", WithoutRedis::open},
}};

constexpr std::array<std::pair<std::string_view, CalendarUnit>, 4> kUnits{{
    {"minute", CalendarUnit::minute},
    {"hour", CalendarUnit::hour},
    {"day", CalendarUnit::day},
    {"month", CalendarUnit::month},
}};

template <class Table>
auto find_word(const Table& table, std::string_view word) {
  using Value = typename Table::value_type::second_type;
  for (const auto& [name, value] : table) {
    if (name == word) return std::optional<Value>(value);
  }
  return std::optional<Value>();
}

template <class Table, class Value>
std::string_view word_of(const Table& table, Value value) {
  for (const auto& [name, candidate] : table) {
    if (candidate == value) return name;
  }
  return {};
}

// What the words said; absent is not the same as the default.
struct Words {
  std::int64_t limit = 0;
  std::optional<Duration> period;
  std::optional<CalendarUnit> unit;
  std::optional<std::int64_t> burst;
  std::optional<LimitAlgorithm> algorithm;
  std::optional<LimitClass> limit_class;
  std::optional<WithoutRedis> without_redis;
};

Parsed<Words> parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return wrong(
        fmt::format("{} is not a rate; write count/period first, as in 60/1m", quote(text)));
  }
  Words words;
  const auto count = integer_in(text.substr(0, slash), 1, kCountMax);
  if (!count) return wrong("count: " + count.error());
  words.limit = *count;
  const auto span = text.substr(slash + 1);
  words.unit = find_word(kUnits, span);
  if (words.unit) return words;
  const auto period = duration_in(span, 1ms, kPeriodMax);
  if (!period) return wrong("period: " + period.error());
  words.period = *period;
  return words;
}

std::vector<std::string_view> words_of(std::string_view text) {
  auto words = split(text, ' ');
  std::erase_if(words, [](std::string_view word) { return word.empty(); });
  return words;
}

template <class Value>
Parsed<void> set_once(std::optional<Value>& slot, Value value, std::string_view word) {
  if (slot) return wrong(fmt::format("{} says again what an earlier word said", quote(word)));
  slot = value;
  return {};
}

Parsed<Words> parse_words(std::string_view text) {
  const auto items = words_of(text);
  if (items.empty()) return wrong("is empty; write count/period, as in 60/1m burst 10");
  auto words = parse_rate(items.front());
  if (!words) return words;
  for (std::size_t i = 1; i < items.size(); ++i) {
    Parsed<void> done;
    if (items[i] == "burst") {
      if (i + 1 == items.size()) return wrong("burst needs a count after it");
      const auto count = integer_in(items[++i], 1, kCountMax);
      if (!count) return wrong("burst: " + count.error());
      done = set_once(words->burst, *count, "burst");
    } else if (const auto algorithm = find_word(kAlgorithms, items[i])) {
      done = set_once(words->algorithm, *algorithm, items[i]);
    } else if (const auto limit_class = find_word(kClasses, items[i])) {
      done = set_once(words->limit_class, *limit_class, items[i]);
    } else if (const auto without_redis = find_word(kWithoutRedis, items[i])) {
      done = set_once(words->without_redis, *without_redis, items[i]);
    } else {
      return wrong(
          fmt::format("{} is none of burst N, gcra, sliding_window, sliding_log, "
                      "fixed_window, calendar_window, soft, strict, share, refuse, open",
                      quote(items[i])));
    }
    if (!done) return wrong(done.error());
  }
  return words;
}

Parsed<void> check_together(const Words& words, LimitAlgorithm algorithm) {
  const bool calendar = algorithm == LimitAlgorithm::calendar_window;
  if (calendar != words.unit.has_value()) {
    return wrong(calendar ? "calendar_window counts per minute, hour, day or month: write 1000/day"
                          : "minute, hour, day and month go with calendar_window; write 60/1m, or "
                            "add calendar_window");
  }
  if (words.burst && algorithm != LimitAlgorithm::gcra) {
    return wrong(fmt::format("burst goes with gcra; {} has none", word_of(kAlgorithms, algorithm)));
  }
  if (words.without_redis && words.limit_class == LimitClass::strict) {
    return wrong(fmt::format("strict limits do without Redis; {} goes with soft ones",
                             word_of(kWithoutRedis, *words.without_redis)));
  }
  if (algorithm == LimitAlgorithm::sliding_log && words.limit > kLogMax) {
    return wrong(fmt::format("sliding_log remembers each admission: count at most {}", kLogMax));
  }
  return {};
}

}  // namespace

bool is_policy_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

Parsed<LimitPolicy> parse_policy(std::string_view name, std::string_view text) {
  if (!is_policy_name(name)) {
    return wrong(
        fmt::format("{} is not a name for a limit: 1 to 64 of a-z 0-9 _ . -", quote(name)));
  }
  const auto words = parse_words(text);
  if (!words) return wrong(words.error());
  LimitPolicy policy;
  policy.name = name;
  policy.algorithm = words->algorithm.value_or(LimitAlgorithm::gcra);
  policy.limit_class = words->limit_class.value_or(LimitClass::soft);
  policy.without_redis = words->without_redis.value_or(WithoutRedis::share);
  const auto checked = check_together(*words, policy.algorithm);
  if (!checked) return wrong(checked.error());
  policy.limit = words->limit;
  policy.period = words->period.value_or(policy.period);
  policy.unit = words->unit.value_or(policy.unit);
  policy.burst = words->burst.value_or(std::min(kBurstDefault, policy.limit));
  return policy;
}

std::string format_policy(const LimitPolicy& policy) {
  const bool calendar = policy.algorithm == LimitAlgorithm::calendar_window;
  std::string out = fmt::format(
      "{}/{}", policy.limit,
      calendar ? std::string(word_of(kUnits, policy.unit)) : format_duration(policy.period));
  if (policy.algorithm == LimitAlgorithm::gcra) out += fmt::format(" burst {}", policy.burst);
  out += fmt::format(" {} {}", word_of(kAlgorithms, policy.algorithm),
                     word_of(kClasses, policy.limit_class));
  if (policy.without_redis != WithoutRedis::share) {
    out += fmt::format(" {}", word_of(kWithoutRedis, policy.without_redis));
  }
  return out;
}

}  // namespace redoubt::config
