#include "operations/plain_json.hpp"

#include "base/append.hpp"
#include "base/json.hpp"
#include "operations/complaint.hpp"
#include "operations/describe_types.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>

namespace redoubt::operations {
namespace {

constexpr std::size_t kFieldsMax = 64;     // Registry::add sees to it.
constexpr std::ptrdiff_t kDigitsMax = 15;  // Whatever they are, a double and an int64 hold them.

bool is_plain(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

// True when all of the eight bytes at `p` are plain. A subtraction sets the high bit of the first
// byte that is too small; DEL is told by the same after turning it into zero.
bool eight_plain(const char* p) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  const std::uint64_t control = word - kOnes * ' ';
  const std::uint64_t quote = (word ^ kOnes * '"') - kOnes;
  const std::uint64_t backslash = (word ^ kOnes * '\\') - kOnes;
  const std::uint64_t del = (word ^ kOnes * 0x7f) - kOnes;
  return ((word | control | quote | backslash | del) & kOnes * 0x80) == 0;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool ends_a_number(char c) {
  return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

void PlainJson::skip_space() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
}

bool PlainJson::take(char c) {
  skip_space();
  if (at_ == end_ || *at_ != c) return false;
  ++at_;
  return true;
}

bool PlainJson::string(std::string_view& out) {
  if (!take('"')) return false;
  const char* p = at_;
  while (end_ - p >= 8 && eight_plain(p)) p += 8;
  while (p != end_ && is_plain(*p)) ++p;
  if (p == end_ || *p != '"') return false;
  out = {at_, static_cast<std::size_t>(p - at_)};
  at_ = p + 1;
  return true;
}

bool PlainJson::integer(std::int64_t& out) {
  skip_space();
  const char* p = at_;
  const bool negative = p != end_ && *p == '-';
  if (negative) ++p;
  const char* const digits = p;
  std::int64_t value = 0;
  for (; p != end_ && is_digit(*p) && p - digits < kDigitsMax; ++p) value = value * 10 + (*p - '0');
  if (p == digits || p == end_ || !ends_a_number(*p)) return false;
  if (*digits == '0' && (p - digits > 1 || negative)) return false;
  out = negative ? -value : value;
  at_ = p;
  return true;
}

bool PlainJson::word(std::string_view expected) {
  if (static_cast<std::size_t>(end_ - at_) < expected.size() ||
      std::string_view(at_, expected.size()) != expected) {
    return false;
  }
  at_ += expected.size();
  return true;
}

bool PlainJson::boolean(bool& out) {
  skip_space();
  out = word("true");
  return out || word("false");
}

bool PlainJson::value(std::string& out, int depth) {
  skip_space();
  if (at_ == end_ || depth == kDepthMax) return false;
  switch (*at_) {
    case '{':
      return object(out, depth);
    case '[':
      return array(out, depth);
    case '"': {
      std::string_view text;
      if (!string(text)) return false;
      append_parts(out, "\"", text, "\"");
      return true;
    }
    case 't':
    case 'f': {
      bool truth = false;
      if (!boolean(truth)) return false;
      out += truth ? "true" : "false";
      return true;
    }
    case 'n':
      out += "null";
      return word("null");
    default: {
      std::int64_t number = 0;
      if (!integer(number)) return false;
      append_int(out, number);
      return true;
    }
  }
}

bool PlainJson::object(std::string& out, int depth) {
  std::array<std::string_view, kMembersMax> names;
  std::size_t count = 0;
  char separator = '{';
  if (!take('{')) return false;
  if (take('}')) {
    out += "{}";
    return true;
  }
  do {
    std::string_view name;
    if (count == kMembersMax || !string(name) || !take(':')) return false;
    const auto known = std::span(names).first(count);
    if (std::ranges::find(known, name) != known.end()) return false;
    names[count++] = name;
    append_parts(out, std::string_view(&separator, 1), "\"", name, "\":");
    if (!value(out, depth + 1)) return false;
    separator = ',';
  } while (take(','));
  out += '}';
  return take('}');
}

bool PlainJson::array(std::string& out, int depth) {
  if (!take('[')) return false;
  out += '[';
  if (!take(']')) {
    for (;;) {
      if (!value(out, depth + 1)) return false;
      if (!take(',')) break;
      out += ',';
    }
    if (!take(']')) return false;
  }
  out += ']';
  return true;
}

bool PlainJson::at_end() {
  skip_space();
  return at_ == end_;
}

bool read_plain_body(std::string_view text, std::span<const FieldInfo> fields, void* out) {
  if (text.size() > PlainJson::kBytesMax) return false;
  PlainJson in(text);
  return read_plain_object(in, fields, out) && in.at_end();
}

bool read_plain_object(PlainJson& in, std::span<const FieldInfo> fields, void* out) {
  if (!in.take('{')) return false;
  std::bitset<kFieldsMax> seen;
  if (!in.take('}')) {
    do {
      std::string_view name;
      if (!in.string(name) || !in.take(':')) return false;
      const std::size_t i = find_body_field(fields, name);
      if (i == fields.size() || seen.test(i)) return false;
      seen.set(i);
      const FieldInfo& field = fields[i];
      if (field.type->plain == nullptr || !field.type->plain(in, field.member(out), field)) {
        return false;
      }
    } while (in.take(','));
    if (!in.take('}')) return false;
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].required && fields[i].where == Where::body && !seen.test(i)) return false;
  }
  return true;
}

namespace detail {

bool plain_list(PlainJson& in, void* out, const Container& container, const TypeOps& item,
                const FieldInfo& info) {
  if (item.plain == nullptr || !in.take('[')) return false;
  container.clear(out);
  std::size_t count = 0;
  if (!in.take(']')) {
    const FieldInfo element = element_info(info, item);
    do {
      if (++count > PlainJson::kItemsMax) return false;
      if (!item.plain(in, container.append(out, {}), element)) return false;
    } while (in.take(','));
    if (!in.take(']')) return false;
  }
  return in_bounds(info, static_cast<std::int64_t>(count));
}

bool plain_name(PlainJson& in, Names names, std::size_t& index) {
  std::string_view text;
  if (!in.string(text)) return false;
  const auto found = std::ranges::find(names, text);
  index = static_cast<std::size_t>(found - names.begin());
  return found != names.end();
}

}  // namespace detail
}  // namespace redoubt::operations
