// Whether a comparison with a secret tells by its duration where the first difference is: Welch's
// t-test between inputs that differ in the first byte and inputs that differ in the last, mixed at
// random (the method of dudect: Reparaz, Balasch, Verbauwhede, DATE 2017).
//
// A comparison that stops at the first difference is measured beside it. Only if that one is found
// out does the run say anything: |t| over 10 tells two durations apart, under 4.5 it does not.
// Noise of the machine can only hide a difference, so a run is evidence and no proof; and no test
// decides by it.
#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/crypto.hpp"
#include "base/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace redoubt {
namespace {

constexpr std::size_t kSize = 32;          // Of a keyed hash.
constexpr std::size_t kSamples = 400'000;  // Of both classes together.
constexpr int kCalls = 40;                 // In a sample: one call is shorter than a clock's tick.
constexpr double kKept = 0.9;              // The rest was interrupted.
constexpr double kFound = 10;
constexpr double kNotFound = 4.5;

using Bytes = std::array<std::uint8_t, kSize>;
using Equal = bool (*)(ByteView, ByteView);

bool stops_early(ByteView a, ByteView b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

struct Sample {
  bool last = false;  // The class: differs in the last byte.
  double ns = 0;
};

struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  // Of the distances from the mean, added up (Welford).

  void add(double value) {
    count += 1;
    const double distance = value - mean;
    mean += distance / count;
    squares += distance * (value - mean);
  }
  double variance_of_mean() const { return squares / (count - 1) / count; }
};

std::vector<Sample> measure(Equal equal) {
  const SystemClock clock;
  SystemRandom random;
  Bytes secret{};
  random.fill(secret);
  std::vector<Sample> samples(kSamples);
  bool any = false;
  for (Sample& sample : samples) {
    sample.last = random.below(2) == 1;
    Bytes guess = secret;
    guess[sample.last ? kSize - 1 : 0] ^= 1;
    const BootTime began = clock.boot();
    for (int i = 0; i < kCalls; ++i) {
      Bytes* volatile hidden = &guess;  // So that no call is left out.
      any |= equal(secret, *hidden);
    }
    sample.ns = static_cast<double>((clock.boot() - began).count()) / kCalls;
  }
  if (any) std::abort();  // They all differ.
  return samples;
}

// Welch's t of the two classes, without the slowest samples of both.
double t_of(std::vector<Sample> samples) {
  const auto kept = static_cast<std::ptrdiff_t>(kKept * static_cast<double>(samples.size()));
  std::ranges::nth_element(samples, samples.begin() + kept, {}, &Sample::ns);
  samples.resize(static_cast<std::size_t>(kept));
  Moments first;
  Moments last;
  for (const Sample& sample : samples) (sample.last ? last : first).add(sample.ns);
  fmt::print("  differs in the first byte {:6.2f} ns, in the last {:6.2f} ns", first.mean,
             last.mean);
  return (last.mean - first.mean) / std::sqrt(first.variance_of_mean() + last.variance_of_mean());
}

double judge(std::string_view name, Equal equal) {
  fmt::print("{:<22}", name);
  const double t = std::abs(t_of(measure(equal)));
  fmt::print("   |t| = {:.1f}\n", t);
  return t;
}

int run() {
  const double control = judge("stops early", stops_early);
  const double ours = judge("constant_time_equal", constant_time_equal);
  if (control < kFound) {
    fmt::print("nothing is said: not even the one that stops early was found out\n");
    return 2;
  }
  fmt::print("constant_time_equal {}\n", ours < kNotFound ? "tells nothing by its duration"
                                                          : "may tell where the difference is");
  return ours < kNotFound ? 0 : 1;
}

}  // namespace
}  // namespace redoubt

int main() {
  return redoubt::run();
}
