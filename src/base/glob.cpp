// Glob matching in time linear in the text.
//
// A pattern is segments between stars. The first is anchored at the front of the text, the last at
// its end, and each of the others may take its leftmost match behind the one before: if any match
// of the whole exists, the leftmost one leaves the most text for the rest. So no star is ever
// revisited.
//
// Finding a segment is memmem() when it is plain bytes, and otherwise Shift-And (Baeza-Yates,
// Gonnet 1992), where '?' is a bit set for every byte: one step per byte of text and 64 bytes of
// segment.
#include "base/text.hpp"

#include <cstring>

namespace redoubt {
namespace {

struct Segment {
  std::string_view slice;  // As written, escapes included.
  std::size_t length = 0;  // Bytes of text it stands for.
  bool plain = true;       // Neither '?' nor an escape.
};

struct Element {
  char byte = 0;
  bool any = false;
};

// Takes the next element off `slice`. A backslash at the end stands for itself.
Element take_element(std::string_view& slice) {
  Element element{slice.front(), slice.front() == '?'};
  slice.remove_prefix(1);
  if (element.byte == '\\' && !slice.empty()) {
    element.byte = slice.front();
    slice.remove_prefix(1);
  }
  return element;
}

// Takes the segment before the next star off `pattern`, and the star; `star` says whether it was
// there.
Segment take_segment(std::string_view& pattern, bool& star) {
  Segment segment;
  std::string_view rest = pattern;
  while (!rest.empty() && rest.front() != '*') {
    segment.plain = segment.plain && rest.front() != '?' && rest.front() != '\\';
    take_element(rest);
    ++segment.length;
  }
  segment.slice = pattern.substr(0, pattern.size() - rest.size());
  star = !rest.empty();
  if (star) rest.remove_prefix(1);
  pattern = rest;
  return segment;
}

// REQUIRES: text.size() >= segment.length
bool starts_with(std::string_view text, const Segment& segment) {
  if (segment.plain) return text.starts_with(segment.slice);
  std::string_view slice = segment.slice;
  for (const char c : text.substr(0, segment.length)) {
    const Element element = take_element(slice);
    if (!element.any && element.byte != c) return false;
  }
  return true;
}

class ShiftAnd {
 public:
  explicit ShiftAnd(const Segment& segment)
      : words_((segment.length + 63) / 64), last_(segment.length - 1), masks_(256 * words_) {
    std::string_view slice = segment.slice;
    for (std::size_t i = 0; i < segment.length; ++i) {
      const Element element = take_element(slice);
      for (std::size_t byte = 0; byte < 256; ++byte) {
        const bool matches = element.any || static_cast<std::uint8_t>(element.byte) == byte;
        if (matches) masks_[byte * words_ + i / 64] |= std::uint64_t{1} << (i % 64);
      }
    }
  }

  // The offset just behind the leftmost match, or npos.
  std::size_t find_end(std::string_view text) const {
    std::vector<std::uint64_t> state(words_);
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::uint64_t* mask = &masks_[static_cast<std::uint8_t>(text[i]) * words_];
      std::uint64_t carry = 1;
      for (std::size_t w = 0; w < words_; ++w) {
        const std::uint64_t shifted = state[w] << 1 | carry;
        carry = state[w] >> 63;
        state[w] = shifted & mask[w];
      }
      if (state[last_ / 64] >> (last_ % 64) & 1) return i + 1;
    }
    return std::string_view::npos;
  }

 private:
  std::size_t words_;
  std::size_t last_;
  std::vector<std::uint64_t> masks_;  // 256 rows of words_: where each byte may stand.
};

std::size_t find_end(std::string_view text, const Segment& segment) {
  if (segment.length == 0) return 0;
  if (segment.length > text.size()) return std::string_view::npos;
  if (!segment.plain) return ShiftAnd(segment).find_end(text);
  const void* at = ::memmem(text.data(), text.size(), segment.slice.data(), segment.slice.size());
  if (at == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) + segment.length;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  bool star = false;
  Segment segment = take_segment(pattern, star);
  if (!star) return segment.length == text.size() && starts_with(text, segment);
  if (segment.length > text.size() || !starts_with(text, segment)) return false;
  text.remove_prefix(segment.length);
  while (true) {
    segment = take_segment(pattern, star);
    if (!star) break;
    const std::size_t end = find_end(text, segment);
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end);
  }
  return segment.length <= text.size() &&
         starts_with(text.substr(text.size() - segment.length), segment);
}

}  // namespace redoubt
