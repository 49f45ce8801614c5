#include "wire/http1.hpp"

#include <algorithm>
#include <cstring>

namespace redoubt::wire {
namespace {

enum CharClass : std::uint8_t {
  kToken = 1,   // tchar
  kTarget = 2,  // Printable ASCII without space, '#'
  kHost = 4,    // unreserved, sub-delims, ':', '[', ']', '%'
  kName = 8,    // The same without ':', '[', ']'
  kValue = 16,  // field-vchar, space, tab
};

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const char ch = static_cast<char>(c);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const auto in = [ch](std::string_view set) { return set.find(ch) != std::string_view::npos; };
    std::uint8_t bits = 0;
    if (alnum || (c != 0 && in("!#$%&'*+-.^_`|~"))) bits |= kToken;
    if (c > 0x20 && c < 0x7f && c != '#') bits |= kTarget;
    if (alnum || (c != 0 && in("-._~!$&'()*+,;=:[]%"))) bits |= kHost;
    if ((bits & kHost) != 0 && !in(":[]")) bits |= kName;
    if ((c >= 0x20 && c != 0x7f) || c == '\t') bits |= kValue;
    classes[c] = bits;
  }
  return classes;
}
constexpr auto kClasses = make_classes();

bool is(char c, CharClass wanted) {
  return (kClasses[static_cast<std::uint8_t>(c)] & wanted) != 0;
}

// How many bytes at the beginning are of that class.
std::size_t run_of(std::string_view text, CharClass wanted) {
  std::size_t i = 0;
  while (i < text.size() && is(text[i], wanted)) ++i;
  return i;
}

bool all(std::string_view text, CharClass wanted) {
  return run_of(text, wanted) == text.size();
}

// Eight bytes of a text in one word, and which of them (by their highest bit) are below `n`, or are
// `c`. A byte above one that was found may be found wrongly: good for "none" and no more.
constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighs = kOnes * 0x80;
std::uint64_t eight_bytes(const char* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}
std::uint64_t below(std::uint64_t word, std::uint8_t n) {
  return (word - kOnes * n) & ~word & kHighs;
}
std::uint64_t equal_to(std::uint64_t word, std::uint8_t c) {
  return below(word ^ kOnes * c, 1);
}

// REQUIRES: `lower_b` is ASCII.
bool same_but_for_case(std::uint64_t a, std::uint64_t lower_b) {
  // The highest bit of each byte of `lower_b` that is a letter; a quarter of it is the bit of case.
  const std::uint64_t letters =
      (lower_b + kOnes * (0x80 - 'a')) & ~(lower_b + kOnes * (0x7f - 'z')) & kHighs;
  return ((a ^ lower_b) & ~(letters >> 2)) == 0;
}

// Long texts eight bytes at a time while all eight are of the class; `unusual` says which may not
// be.
template <class Unusual>
bool all_by_eights(std::string_view text, CharClass wanted, Unusual unusual) {
  while (text.size() >= 8) {
    if (unusual(eight_bytes(text.data())) != 0 && !all(text.substr(0, 8), wanted)) return false;
    text.remove_prefix(8);
  }
  return all(text, wanted);
}

bool is_target(std::string_view text) {
  return all_by_eights(text, kTarget, [](std::uint64_t word) {
    return (word & kHighs) | below(word, 0x21) | equal_to(word, 0x7f) | equal_to(word, '#');
  });
}

bool is_field_value(std::string_view text) {
  return all_by_eights(text, kValue,
                       [](std::uint64_t word) { return below(word, 0x20) | equal_to(word, 0x7f); });
}

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

HeadResult refuse(int status, std::string_view reason) {
  HeadResult result;
  result.kind = HeadResult::Kind::refused;
  result.status = status;
  result.reason = reason;
  return result;
}
constexpr HeadResult kFine{};  // "No objection", inside this file.

bool objected(const HeadResult& result) {
  return result.kind == HeadResult::Kind::refused;
}

HttpMethod method_of(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return HttpMethod::get;
      if (text == "PUT") return HttpMethod::put;
      break;
    case 4:
      if (text == "POST") return HttpMethod::post;
      if (text == "HEAD") return HttpMethod::head;
      break;
    case 5:
      if (text == "PATCH") return HttpMethod::patch;
      break;
    case 6:
      if (text == "DELETE") return HttpMethod::del;
      break;
    case 7:
      if (text == "OPTIONS") return HttpMethod::options;
      break;
    default:
      break;
  }
  return HttpMethod::other;
}

// Splits the target into path and query; for absolute-form also yields the authority.
HeadResult read_target(RequestHead& head, std::string_view& authority) {
  std::string_view rest = head.target;
  if (rest.empty() || !is_target(rest)) return refuse(400, "malformed request target");
  if (rest == "*") {
    if (head.method != HttpMethod::options) return refuse(400, "'*' is for OPTIONS");
    head.path = rest;
    return kFine;
  }
  if (rest.front() != '/') {
    constexpr std::string_view kScheme = "http://";
    constexpr std::string_view kSecure = "https://";
    const auto has = [&rest](std::string_view scheme) {
      return rest.size() > scheme.size() && ascii_iequals(rest.substr(0, scheme.size()), scheme);
    };
    if (has(kScheme)) {
      rest.remove_prefix(kScheme.size());
    } else if (has(kSecure)) {
      rest.remove_prefix(kSecure.size());
    } else {
      return refuse(400, "malformed request target");
    }
    const std::size_t slash = rest.find_first_of("/?");
    authority = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
    if (authority.empty()) return refuse(400, "malformed request target");
  }
  const std::size_t mark = rest.find('?');
  head.path = rest.substr(0, mark);
  head.query = mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);
  if (head.path.empty()) head.path = "/";
  return kFine;
}

HeadResult read_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return refuse(400, "malformed request line");
  head.method_text = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(head.method_text) || head.method_text.size() > 32) {
    return refuse(400, "malformed method");
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) ||
      version[6] != '.' || !digit(version[7])) {
    return refuse(400, "malformed HTTP version");
  }
  if (version[5] != '1') return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  head.minor_version = version[7] - '0';
  head.keep_alive = head.minor_version >= 1;
  head.method = method_of(head.method_text);
  return kFine;
}

// What the framing fields said so far.
struct Framing {
  bool length = false;
  bool transfer = false;
  bool host = false;
};

HeadResult read_content_length(std::string_view value, RequestHead& head, Framing& framing) {
  if (framing.length) return refuse(400, "repeated Content-Length");
  framing.length = true;
  if (value.empty() || value.size() > 18) return refuse(400, "malformed Content-Length");
  std::uint64_t length = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return refuse(400, "malformed Content-Length");
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  head.content_length = length;
  head.body = BodyKind::length;
  return kFine;
}

HeadResult read_connection(std::string_view value, RequestHead& head) {
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    std::string_view option = value.substr(0, comma);
    value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    while (!option.empty() && (option.front() == ' ' || option.front() == '\t')) {
      option.remove_prefix(1);
    }
    while (!option.empty() && (option.back() == ' ' || option.back() == '\t')) {
      option.remove_suffix(1);
    }
    if (ascii_iequals(option, "close")) {
      head.keep_alive = false;
    } else if (ascii_iequals(option, "keep-alive") && head.minor_version == 0) {
      head.keep_alive = true;
    }
  }
  return kFine;
}

// A Host (and an authority) is uri-host [ ":" port ]: no user information, one port of digits.
bool is_authority(std::string_view text) {
  std::size_t host = run_of(text, kName);
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3 || !all(text, kHost)) return false;
    host = close + 1;
  }
  if (host == 0) return false;
  if (host == text.size()) return true;
  if (text[host] != ':') return false;
  const std::string_view port = text.substr(host + 1);
  if (port.size() > 5) return false;
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// Acts on the fields that change how the message is read; the first letter sorts out the rest.
HeadResult read_framing_field(const Field& field, RequestHead& head, Framing& framing) {
  switch (lower(field.name.front())) {
    case 'c':
      if (ascii_iequals(field.name, "content-length")) {
        return read_content_length(field.value, head, framing);
      }
      if (ascii_iequals(field.name, "connection")) return read_connection(field.value, head);
      return kFine;
    case 'h':
      if (!ascii_iequals(field.name, "host")) return kFine;
      if (framing.host) return refuse(400, "repeated Host");
      framing.host = true;
      if (!is_authority(field.value)) return refuse(400, "malformed Host");
      head.host = field.value;
      return kFine;
    case 't':
      if (!ascii_iequals(field.name, "transfer-encoding")) return kFine;
      if (framing.transfer) return refuse(400, "repeated Transfer-Encoding");
      framing.transfer = true;
      if (!ascii_iequals(field.value, "chunked")) {
        return refuse(400, "Transfer-Encoding must be exactly 'chunked'");
      }
      return kFine;
    case 'e':
      if (!ascii_iequals(field.name, "expect")) return kFine;
      if (!ascii_iequals(field.value, "100-continue")) {
        return refuse(417, "only 'Expect: 100-continue' is understood");
      }
      head.expects_continue = head.minor_version >= 1;
      return kFine;
    default:
      return kFine;
  }
}

HeadResult read_field(std::string_view line, std::size_t fields_max, RequestHead& head,
                      Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "folded header field");
  const std::size_t colon = run_of(line, kToken);
  if (colon == 0 || colon == line.size() || line[colon] != ':') {
    const bool named = line.find(':') != std::string_view::npos;
    return refuse(400, named ? "malformed header field name" : "header field without a colon");
  }
  Field field{line.substr(0, colon), line.substr(colon + 1)};
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!field.value.empty() && blank(field.value.front())) field.value.remove_prefix(1);
  while (!field.value.empty() && blank(field.value.back())) field.value.remove_suffix(1);
  if (!is_field_value(field.value)) return refuse(400, "control character in a header field");
  if (head.field_count >= std::min(fields_max, kFieldsMax)) {
    return refuse(431, "too many header fields");
  }
  head.fields[head.field_count++] = field;
  return read_framing_field(field, head, framing);
}

HeadResult check_framing(RequestHead& head, const Framing& framing, std::string_view authority) {
  if (framing.transfer && framing.length) {
    return refuse(400, "both Content-Length and Transfer-Encoding");
  }
  if (framing.transfer) {
    if (head.minor_version == 0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    head.body = BodyKind::chunked;
  }
  if (!framing.host && head.minor_version >= 1) return refuse(400, "missing Host");
  if (!authority.empty()) {
    if (!is_authority(authority)) return refuse(400, "malformed request target");
    if (framing.host && authority != head.host) {
      return refuse(400, "the request target names another host than Host");
    }
  }
  if (head.method_text == "CONNECT") return refuse(501, "CONNECT is not served here");
  return kFine;
}

// The end of the head: one past the '\n' of the first empty line; 0 when it is not there yet. Lines
// ended by a bare LF end it too, so that they are refused at once instead of waited upon.
std::size_t find_end(std::string_view input, std::size_t& scanned) {
  while (scanned < input.size()) {
    const void* hit = std::memchr(input.data() + scanned, '\n', input.size() - scanned);
    if (hit == nullptr) {
      scanned = input.size();
      return 0;
    }
    const std::size_t at = static_cast<std::size_t>(static_cast<const char*>(hit) - input.data());
    const std::string_view before = input.substr(0, at);
    scanned = at + 1;
    if (before.ends_with("\n") || before.ends_with("\n\r")) return at + 1;
  }
  return 0;
}

HeadResult too_long_so_far(std::string_view input, const HeadLimits& limits) {
  const std::size_t first_line = input.find('\n');
  if (first_line == std::string_view::npos) {
    return input.size() > limits.line_max ? refuse(414, "request line too long") : kFine;
  }
  if (input.size() - first_line > limits.head_max) return refuse(431, "header fields too large");
  return kFine;
}

}  // namespace

std::string_view RequestHead::field(std::string_view name) const {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (ascii_iequals(fields[i].name, name)) return fields[i].value;
  }
  return {};
}

bool is_token(std::string_view text) {
  return !text.empty() && all(text, kToken);
}

bool ascii_iequals(std::string_view a, std::string_view lower_b) {
  if (a.size() != lower_b.size()) return false;
  std::size_t i = 0;
  for (; a.size() - i >= 8; i += 8) {
    if (!same_but_for_case(eight_bytes(&a[i]), eight_bytes(&lower_b[i]))) return false;
  }
  for (; i < a.size(); ++i) {
    if (lower(a[i]) != lower_b[i]) return false;
  }
  return true;
}

HeadResult read_request_head(std::string_view input, std::size_t& scanned, const HeadLimits& limits,
                             RequestHead& head) {
  // RFC 9112 2.2: one empty line before the request line is ignored.
  const std::size_t lead = input.starts_with("\r\n") ? 2 : 0;
  if (scanned < lead) scanned = lead;
  // What ends with an empty line has the end of a head in it, if not at once: the usual request.
  const bool is_whole = input.substr(lead).ends_with("\r\n\r\n");
  std::size_t end = is_whole ? input.size() : find_end(input, scanned);
  if (end == 0) return too_long_so_far(input, limits);

  head.field_count = 0;
  head.body = BodyKind::none;
  head.content_length = 0;
  head.expects_continue = false;
  head.host = head.query = {};
  Framing framing;
  std::string_view authority;
  bool first = true;
  std::size_t fields_begin = 0;
  for (std::size_t at = lead; at < end;) {
    const std::size_t newline = input.find('\n', at);
    std::string_view line = input.substr(at, newline - at);
    if (!line.ends_with('\r')) return refuse(400, "bare LF");
    line.remove_suffix(1);  // A CR elsewhere in the line is in no class of characters below.
    at = newline + 1;
    if (line.size() > limits.line_max) {
      return first ? refuse(414, "request line too long") : refuse(431, "header field too long");
    }
    HeadResult objection;
    if (first) {
      objection = read_request_line(line, head);
      if (!objected(objection)) objection = read_target(head, authority);
      fields_begin = at;
      first = false;
    } else if (!line.empty()) {
      objection = read_field(line, limits.fields_max, head, framing);
    } else {
      end = at;
    }
    if (objected(objection)) return objection;
  }
  if (fields_begin == 0 || head.method_text.empty()) return refuse(400, "empty request line");
  if (end - fields_begin > limits.head_max + 2) return refuse(431, "header fields too large");
  const HeadResult objection = check_framing(head, framing, authority);
  if (objected(objection)) return objection;
  HeadResult result;
  result.kind = HeadResult::Kind::complete;
  result.size = end;
  return result;
}

}  // namespace redoubt::wire
