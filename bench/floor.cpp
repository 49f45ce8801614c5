// What HTTP over loopback costs when the server does nothing: epoll, one recv and one send for
// whatever has arrived, a constant answer. It finds where each request ends and looks at nothing
// else.
//
//   floor PORT THREADS ANSWER_BYTES
//
// The answer has ANSWER_BYTES in all, so that the same bytes travel as from the server it stands
// beside.
#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kInMax = 16384;
constexpr std::string_view kLengthName = "content-length:";

struct Client {
  int fd = -1;
  std::size_t used = 0;
  char in[kInMax];
};

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "floor: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

std::string constant_answer(std::size_t bytes) {
  // The head's own size depends on the digits of the length; three are what answers here have.
  const std::size_t head = fmt::formatted_size(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
      "Content-Length: 100\r\n\r\n");
  const std::size_t body = bytes > head ? bytes - head : 1;
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body,
      std::string(body, 'x'));
}

std::size_t body_length(std::string_view head) {
  for (std::size_t line = head.find('\n'); line != std::string_view::npos;
       line = head.find('\n', line + 1)) {
    const char* name = head.data() + line + 1;
    if (head.size() - line - 1 >= kLengthName.size() &&
        ::strncasecmp(name, kLengthName.data(), kLengthName.size()) == 0) {
      return std::strtoull(name + kLengthName.size(), nullptr, 10);
    }
  }
  return 0;
}

// Bytes of the first request, 0 while it is not all there.
std::size_t request_end(std::string_view in) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::size_t body = in.front() == 'P' ? body_length(in.substr(0, end + 2)) : 0;
  const std::size_t whole = end + 4 + body;
  return whole <= in.size() ? whole : 0;
}

// False when the connection is over.
bool serve(Client& client, std::string_view answer, std::string& out) {
  const ssize_t got = ::recv(client.fd, client.in + client.used, kInMax - client.used, 0);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0) return false;
  client.used += static_cast<std::size_t>(got);

  out.clear();
  std::string_view left(client.in, client.used);
  while (!left.empty()) {
    const std::size_t end = request_end(left);
    if (end == 0) break;
    left.remove_prefix(end);
    out += answer;
  }
  if (left.size() == kInMax) return false;
  if (!left.empty()) std::memmove(client.in, left.data(), left.size());
  client.used = left.size();
  return out.empty() || ::send(client.fd, out.data(), out.size(), MSG_NOSIGNAL) >= 0;
}

int listen_on(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) give_up("bind");
  if (::listen(fd, 1024) != 0) give_up("listen");
  return fd;
}

void accept_all(int listener, int epoll) {
  const int on = 1;
  for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* client = new Client;
    client->fd = fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = client;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

void loop(int port, std::string_view answer) {
  const int listener = listen_on(port);
  const int epoll = ::epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  std::string out;
  while (true) {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      auto* client = static_cast<Client*>(events[i].data.ptr);
      if (!client) {
        accept_all(listener, epoll);
      } else if (!serve(*client, answer, out)) {
        ::close(client->fd);
        delete client;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: floor PORT THREADS ANSWER_BYTES\n");
    return 2;
  }
  const int port = std::atoi(argv[1]);
  const std::string answer = constant_answer(std::strtoull(argv[3], nullptr, 10));
  std::vector<std::thread> threads;
  for (int i = 1; i < std::atoi(argv[2]); ++i) threads.emplace_back(loop, port, answer);
  loop(port, answer);
}
