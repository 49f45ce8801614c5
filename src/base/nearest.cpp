#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace redoubt {
namespace {

constexpr std::size_t kWordMax = 64;  // Longer words are not typos of a name; bounds the work.

using Row = std::array<std::size_t, kWordMax + 1>;

// Damerau-Levenshtein, restricted (optimal string alignment): insertions, deletions, substitutions
// and swaps of neighbours each cost one. Three rows of the usual table.
std::size_t distance(std::string_view a, std::string_view b) {
  Row before{};
  Row previous{};
  Row current{};
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substitution});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before = previous;
    previous = current;
  }
  return previous[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  if (word.empty() || word.size() > kWordMax) return {};
  const std::string wanted = to_lower(word);
  // One slip in three letters still looks like a typo; more looks like another word.
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    if (candidate.empty() || candidate.size() > kWordMax) continue;
    const std::size_t d = distance(wanted, to_lower(candidate));
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace redoubt
