#include "base/metrics.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <variant>

namespace redoubt {
namespace {

enum class Kind : std::uint8_t { counter, gauge, histogram };

constexpr std::string_view kTotal = "_total";

std::string_view type_of(Kind kind) {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::gauge:
      return "gauge";
    case Kind::histogram:
      return "histogram";
  }
  return "unknown";
}

constexpr auto kBoundsNs = [] {
  std::array<std::int64_t, Histogram::kBounds.size()> ns{};
  for (std::size_t i = 0; i < ns.size(); ++i) {
    ns[i] = static_cast<std::int64_t>(Histogram::kBounds[i] * 1e9 + 0.5);
  }
  return ns;
}();

bool is_name(std::string_view name, bool colons) {
  const auto letter = [colons](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
  };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string escaped(std::string_view text, bool quotes) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '\\' || (quotes && c == '"')) result += '\\';
    result += c;
  }
  return result;
}

// `{a="1",b="2"}` without the braces.
std::string render(Labels labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    RD_ASSERT(is_name(name, false) && name != "le", fmt::format("not a label name: {}", name));
    if (!text.empty()) text += ',';
    fmt::format_to(std::back_inserter(text), "{}=\"{}\"", name, escaped(value, true));
  }
  return text;
}

void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    std::array<char, 32> digits;
    out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
  }
}

// "0.0001", "1.0": both formats write the bound alike, so that a scraper that changes formats does
// not see new series.
std::string bound_label(double bound) {
  std::string text = fmt::format("{:f}", bound);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text += '0';
  return text;
}

using Read = std::function<double()>;
using Cell = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>,
                          std::unique_ptr<Histogram>, Read>;

struct Family {
  Kind kind;
  std::string help;
  std::map<std::string, Cell> series;  // By rendered labels.
};

void append_sample(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  if (!labels.empty()) fmt::format_to(std::back_inserter(out), "{{{}}}", labels);
  out += ' ';
  append_value(out, value);
  out += '\n';
}

void append_histogram(std::string& out, const std::string& name, const std::string& labels,
                      const Histogram& histogram) {
  const auto buckets = histogram.buckets();
  const std::string bucket_name = name + "_bucket";
  const std::string prefix = labels.empty() ? "" : labels + ",";
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i];
    const bool last = i == Histogram::kBounds.size();
    const std::string bound = last ? "+Inf" : bound_label(Histogram::kBounds[i]);
    append_sample(out, bucket_name, fmt::format("{}le=\"{}\"", prefix, bound),
                  static_cast<double>(count));
  }
  append_sample(out, name + "_sum", labels, histogram.sum_seconds());
  append_sample(out, name + "_count", labels, static_cast<double>(count));
}

struct AppendSeries {
  std::string& out;
  const std::string& name;
  const std::string& labels;

  void operator()(const std::unique_ptr<Counter>& counter) const {
    append_sample(out, name, labels, static_cast<double>(counter->value()));
  }
  void operator()(const std::unique_ptr<Gauge>& gauge) const {
    append_sample(out, name, labels, gauge->value());
  }
  void operator()(const std::unique_ptr<Histogram>& histogram) const {
    append_histogram(out, name, labels, *histogram);
  }
  void operator()(const Read& read) const { append_sample(out, name, labels, read()); }
};

}  // namespace

std::size_t metric_shard() noexcept {
  static std::atomic<std::size_t> next{0};
  constinit thread_local std::size_t shard = kMetricShards;
  if (shard == kMetricShards) shard = next.fetch_add(1, std::memory_order_relaxed) % kMetricShards;
  return shard;
}

std::uint64_t Counter::value() const noexcept {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
  return sum;
}

void Histogram::observe_ns(std::int64_t ns) noexcept {
  ns = std::max<std::int64_t>(ns, 0);
  std::size_t bucket = 0;
  while (bucket < kBoundsNs.size() && ns > kBoundsNs[bucket]) ++bucket;
  Cell& cell = cells_[metric_shard()];
  cell.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  cell.sum_ns.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
}

std::array<std::uint64_t, Histogram::kBounds.size() + 1> Histogram::buckets() const noexcept {
  std::array<std::uint64_t, kBounds.size() + 1> sums{};
  for (const Cell& cell : cells_) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += cell.counts[i].load(std::memory_order_relaxed);
    }
  }
  return sums;
}

double Histogram::sum_seconds() const noexcept {
  std::uint64_t ns = 0;
  for (const Cell& cell : cells_) ns += cell.sum_ns.load(std::memory_order_relaxed);
  return static_cast<double>(ns) / 1e9;
}

struct Metrics::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  // The cell of `name` and `labels`; empty when it is new. REQUIRES: the lock is held.
  Cell& cell(Kind kind, std::string_view name, std::string_view help, Labels labels) {
    RD_ASSERT(is_name(name, true), fmt::format("not a metric name: {}", name));
    RD_ASSERT(name.ends_with(kTotal) == (kind == Kind::counter),
              fmt::format("counters, and only they, end in _total: {}", name));
    auto at = families.find(name);
    if (at == families.end()) {
      at = families.emplace(name, Family{kind, std::string(help), {}}).first;
    }
    Family& family = at->second;
    RD_ASSERT(family.kind == kind && family.help == help,
              fmt::format("{} has two types or two help texts", name));
    return family.series[render(labels)];
  }

  template <class T>
  T& make(Kind kind, std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex);
    Cell& found = cell(kind, name, help, labels);
    auto* owner = std::get_if<std::unique_ptr<T>>(&found);
    if (owner == nullptr || !*owner) owner = &found.emplace<std::unique_ptr<T>>(new T);
    return **owner;
  }

  void set_callback(Kind kind, std::string_view name, std::string_view help, Labels labels,
                    Read read) {
    const std::lock_guard lock(mutex);
    cell(kind, name, help, labels) = std::move(read);
  }

  std::string text(bool open_metrics) const {
    const std::lock_guard lock(mutex);
    std::string out;
    for (const auto& [name, family] : families) {
      std::string_view heading = name;
      if (open_metrics && family.kind == Kind::counter) heading.remove_suffix(kTotal.size());
      fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", heading,
                     escaped(family.help, open_metrics), heading, type_of(family.kind));
      for (const auto& [labels, cell] : family.series) {
        std::visit(AppendSeries{out, name, labels}, cell);
      }
    }
    if (open_metrics) out += "# EOF\n";
    return out;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, std::string_view help, Labels labels) {
  return impl_->make<Counter>(Kind::counter, name, help, labels);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, Labels labels) {
  return impl_->make<Gauge>(Kind::gauge, name, help, labels);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, Labels labels) {
  return impl_->make<Histogram>(Kind::histogram, name, help, labels);
}

void Metrics::gauge_callback(std::string_view name, std::string_view help, Labels labels,
                             Read read) {
  impl_->set_callback(Kind::gauge, name, help, labels, std::move(read));
}

void Metrics::counter_callback(std::string_view name, std::string_view help, Labels labels,
                               Read read) {
  impl_->set_callback(Kind::counter, name, help, labels, std::move(read));
}

std::string Metrics::prometheus_text() const {
  return impl_->text(false);
}
std::string Metrics::openmetrics_text() const {
  return impl_->text(true);
}

}  // namespace redoubt
