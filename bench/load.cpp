#include "bench/load.hpp"

#include "base/clock.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace redoubt::bench {
namespace {

constexpr std::string_view kValue = "{value}";
constexpr std::string_view kEndOfHead = "\r\n\r\n";

std::size_t number_after(std::string_view head, std::string_view name) {
  const std::size_t at = head.find(name);
  if (at == std::string_view::npos) return 0;
  std::size_t value = 0;
  std::from_chars(head.data() + at + name.size(), head.data() + head.size(), value);
  return value;
}

}  // namespace

Template Template::from_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) give_up("cannot read " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.find(kEndOfHead) == std::string::npos) give_up(path + " is not a whole request");
  Template made;
  for (std::string_view left = text;;) {
    const std::size_t at = left.find(kValue);
    made.parts_.emplace_back(left.substr(0, at));
    if (at == std::string_view::npos) return made;
    left.remove_prefix(at + kValue.size());
  }
}

void Template::write(std::string& out, std::string_view value) const {
  out = parts_.front();
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    out += value;
    out += parts_[i];
  }
}

Values Values::from(const std::string& what) {
  Values values;
  if (what.starts_with('#')) {
    values.count_ = std::strtoull(what.c_str() + 1, nullptr, 10);
  } else {
    std::ifstream file(what);
    for (std::string line; std::getline(file, line);) values.lines_.push_back(line);
    values.count_ = values.lines_.size();
  }
  if (values.count_ == 0) give_up("no values in " + what);
  return values;
}

std::string_view Values::at(std::size_t i) {
  if (!lines_.empty()) return lines_[i];
  number_ = fmt::format("{:08}", i);
  return number_;
}

Connection::Connection(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up(fmt::format("cannot connect to port {}: {}", port, std::strerror(errno)));
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() {
  ::close(fd_);
}

void Connection::send(std::string_view request) {
  in_.clear();
  const ssize_t sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != std::ssize(request)) give_up("a request could not be sent whole");
}

bool Connection::receive(Answer& answer) {
  char buffer[65536];
  const ssize_t got = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) give_up("the server closed a connection");
  in_.append(buffer, static_cast<std::size_t>(got));

  const std::string_view all = in_;
  const std::size_t end = all.find(kEndOfHead);
  if (end == std::string_view::npos) return false;
  const std::string_view head = all.substr(0, end + 2);
  const std::size_t length = number_after(head, "\r\nContent-Length: ");
  const std::size_t start = end + kEndOfHead.size();
  if (all.size() < start + length) return false;
  answer.status = static_cast<int>(number_after(head, "HTTP/1.1 "));
  answer.body = all.substr(start, length);
  return true;
}

double now_seconds() {
  static const SystemClock clock;
  return static_cast<double>(clock.boot().ns) / 1e9;
}

void give_up(const std::string& why) {
  fmt::print(stderr, "{}\n", why);
  std::exit(1);
}

}  // namespace redoubt::bench
