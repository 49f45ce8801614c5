#include "config/values.hpp"

#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace redoubt::config {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t kQuotedMax = 60;

Parsed<ListenAddress> listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  std::string_view host = "127.0.0.1";
  std::string_view port = text;
  if (colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const auto number = parse_int(port);
  if (!number || *number < 0 || *number > 65'535) {
    return wrong(
        fmt::format("{} has no port between 0 and 65535, as in 127.0.0.1:3284", quote(text)));
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  std::string literal(bracketed ? host.substr(1, host.size() - 2) : host);
  if (literal == "*") literal = "0.0.0.0";
  if (literal == "localhost") literal = "127.0.0.1";
  boost::system::error_code error;
  const auto address = ip::make_address(literal, error);
  if (error || address.is_v6() != bracketed) {
    return wrong(fmt::format(
        "{} is not address:port; write 127.0.0.1:3284, [::1]:3284, *:3284 or a port", quote(text)));
  }
  return ListenAddress{address.to_string(), static_cast<std::uint16_t>(*number)};
}

template <class Address, class Network>
Parsed<std::string> canonical_network(std::string_view text, const Address& address, int width,
                                      std::optional<std::string_view> prefix) {
  const auto bits = prefix ? parse_int(*prefix) : std::optional<std::int64_t>(width);
  if (!bits || *bits < 0 || *bits > width) {
    return wrong(fmt::format("{} has no prefix length between 0 and {}", quote(text), width));
  }
  const auto network = Network(address, static_cast<unsigned short>(*bits)).canonical();
  const auto canonical = fmt::format("{}/{}", network.address().to_string(), *bits);
  if (network.address() != address) {
    return wrong(
        fmt::format("{} has bits set after its prefix; did you mean {}?", quote(text), canonical));
  }
  return canonical;
}

Parsed<std::string> network(std::string_view text) {
  const auto slash = text.find('/');
  std::optional<std::string_view> prefix;
  if (slash != std::string_view::npos) prefix = text.substr(slash + 1);
  boost::system::error_code error;
  const auto address = ip::make_address(std::string(text.substr(0, slash)), error);
  if (error || (address.is_v6() && address.to_v6().scope_id() != 0)) {
    return wrong(fmt::format("{} is not a network such as 10.0.0.0/8 or an address", quote(text)));
  }
  if (address.is_v4()) {
    return canonical_network<ip::address_v4, ip::network_v4>(text, address.to_v4(), 32, prefix);
  }
  return canonical_network<ip::address_v6, ip::network_v6>(text, address.to_v6(), 128, prefix);
}

bool is_host_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
         c == '[' || c == ']' || c == ':';
}

// The serialised origin of RFC 6454: what a browser sends, byte for byte.
Parsed<std::string> origin(std::string_view text) {
  const std::string lower = to_lower(text);
  std::string_view rest = lower;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!rest.starts_with(scheme)) continue;
    rest.remove_prefix(scheme.size());
    if (!rest.empty() && std::ranges::all_of(rest, is_host_byte)) return lower;
  }
  return wrong(
      fmt::format("{} is not an origin: scheme, host and port only, as in https://app.example.com",
                  quote(text)));
}

}  // namespace

std::string format(const ListenAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += text.size() > kQuotedMax ? "...\"" : "\"";
  return out;
}

Parsed<Duration> duration_in(std::string_view text, Duration low, Duration high) {
  const auto value = parse_duration(text);
  if (!value) {
    return wrong(fmt::format("{} is not a duration; write 5s, 250ms, 1h30m, 2d or seconds as 3600",
                             quote(text)));
  }
  if (*value < low || *value > high) {
    return wrong(fmt::format("must be between {} and {}, but is {}", format_duration(low),
                             format_duration(high), format_duration(*value)));
  }
  return *value;
}

Parsed<std::int64_t> integer_in(std::string_view text, std::int64_t low, std::int64_t high) {
  const auto value = parse_int(text);
  if (!value) return wrong(fmt::format("{} is not a whole number", quote(text)));
  if (*value < low || *value > high) {
    return wrong(fmt::format("must be between {} and {}, but is {}", low, high, *value));
  }
  return *value;
}

Parsed<std::uint64_t> size_in(std::string_view text, std::uint64_t low, std::uint64_t high) {
  const auto value = parse_size(text);
  if (!value) {
    return wrong(
        fmt::format("{} is not a size; write 64kb, 256mb, 2gb or bytes as 1048576", quote(text)));
  }
  if (*value < low || *value > high) {
    return wrong(fmt::format("must be between {} and {}, but is {}", format_size(low),
                             format_size(high), format_size(*value)));
  }
  return *value;
}

Parsed<bool> boolean(std::string_view text) {
  const auto value = parse_bool(text);
  if (!value) return wrong(fmt::format("{} is neither true nor false", quote(text)));
  return *value;
}

std::string format_size(std::uint64_t bytes) {
  struct Unit {
    std::uint64_t bytes;
    std::string_view name;
  };
  for (const Unit unit : {Unit{1ull << 30, "gb"}, Unit{1ull << 20, "mb"}, Unit{1ull << 10, "kb"}}) {
    if (bytes != 0 && bytes % unit.bytes == 0)
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  }
  return std::to_string(bytes);
}

Parsed<std::vector<std::string_view>> list_items(std::string_view text) {
  std::vector<std::string_view> items;
  text = trim(text);
  if (text.empty() || text == "none") return items;
  for (const auto part : split(text, ',')) {
    items.push_back(trim(part));
    if (items.back().empty()) return wrong(fmt::format("{} has an empty item", quote(text)));
  }
  return items;
}

Parsed<std::vector<ListenAddress>> listen_addresses(std::string_view text) {
  const auto items = list_items(text);
  if (!items) return wrong(items.error());
  std::vector<ListenAddress> out;
  for (const auto item : *items) {
    auto address = listen_address(item);
    if (!address) return wrong(std::move(address).error());
    if (address->port != 0 && std::ranges::find(out, *address) != out.end()) {
      return wrong(fmt::format("names {} twice", format(*address)));
    }
    out.push_back(*std::move(address));
  }
  return out;
}

Parsed<std::vector<std::string>> networks(std::string_view text) {
  const auto items = list_items(text);
  if (!items) return wrong(items.error());
  std::vector<std::string> out;
  for (const auto item : *items) {
    auto one = network(item);
    if (!one) return wrong(std::move(one).error());
    out.push_back(*std::move(one));
  }
  return out;
}

Parsed<std::vector<std::string>> origins(std::string_view text) {
  const auto items = list_items(text);
  if (!items) return wrong(items.error());
  std::vector<std::string> out;
  for (const auto item : *items) {
    if (item == "*") {
      if (items->size() > 1) return wrong("\"*\" is everybody already; name it alone");
      out.emplace_back(item);
      continue;
    }
    auto one = origin(item);
    if (!one) return wrong(std::move(one).error());
    out.push_back(*std::move(one));
  }
  return out;
}

}  // namespace redoubt::config
