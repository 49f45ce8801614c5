#include "tests/sim/shrink.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace redoubt::sim {
namespace {

class Shrinking {
 public:
  Shrinking(const Plan& drawn, const std::function<bool(const Plan&)>& fails, int attempts)
      : drawn_(drawn), fails_(fails), left_(attempts), best_(whole(drawn)) {}

  Edit run() {
    drop_faults();
    halve_length();
    halve_rate();
    drop_faults();
    return best_;
  }

 private:
  bool still_fails(const Edit& edit) {
    if (left_-- <= 0 || !fails_(edited(drawn_, edit))) return false;
    best_ = edit;
    return true;
  }

  // In pieces of half, a quarter, ... and at last one by one (delta debugging).
  void drop_faults() {
    for (std::size_t piece = (best_.faults.size() + 1) / 2; piece > 0; piece /= 2) {
      const std::vector<std::size_t> faults(best_.faults.begin(), best_.faults.end());
      for (std::size_t from = 0; from < faults.size(); from += piece) {
        Edit fewer = best_;
        for (std::size_t i = from; i < std::min(from + piece, faults.size()); ++i) {
          fewer.faults.erase(faults[i]);
        }
        if (fewer.faults.size() < best_.faults.size()) still_fails(fewer);
      }
    }
  }

  void halve_length() {
    constexpr Nanos kLeast = std::chrono::seconds(2);
    for (int i = 0; i < 4; ++i) {
      Edit shorter = best_;
      shorter.length = best_.length * 3 / 4;
      if (shorter.length < kLeast || !still_fails(shorter)) return;
    }
  }

  void halve_rate() {
    for (int i = 0; i < 4; ++i) {
      Edit fewer = best_;
      fewer.rate = best_.rate / 2;
      if (fewer.rate < 1 || !still_fails(fewer)) return;
    }
  }

  const Plan& drawn_;
  const std::function<bool(const Plan&)>& fails_;
  int left_;
  Edit best_;
};

}  // namespace

Edit whole(const Plan& drawn) {
  Edit edit;
  for (std::size_t i = 0; i < drawn.faults.size(); ++i) edit.faults.insert(i);
  edit.length = drawn.length;
  edit.rate = drawn.rate;
  return edit;
}

Plan edited(const Plan& drawn, const Edit& edit) {
  Plan plan = with_faults(drawn, edit.faults);
  plan.length = edit.length;
  plan.rate = edit.rate;
  return plan;
}

Edit shrink(const Plan& drawn, const std::function<bool(const Plan&)>& fails, int attempts) {
  return Shrinking(drawn, fails, attempts).run();
}

std::string replay_arguments(const Plan& drawn, const Edit& edit) {
  std::string out = fmt::format("--seed {}", drawn.seed);
  if (drawn.bug != Bug::none) out += fmt::format(" --bug {}", bug_name(drawn.bug));
  out += fmt::format(" --faults {}",
                     edit.faults.empty() ? "none" : fmt::format("{}", fmt::join(edit.faults, ",")));
  out += fmt::format(" --length-ms {} --rate {}",
                     std::chrono::duration_cast<std::chrono::milliseconds>(edit.length).count(),
                     edit.rate);
  return out;
}

}  // namespace redoubt::sim
