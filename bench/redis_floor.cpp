// What HTTP in, one command to Redis, HTTP out costs at least: one thread, epoll, one pipelined
// connection to Redis. The commands of whatever requests have arrived leave in one send; the
// replies that came in one recv are sent on, one send for each client. It looks at the path and
// the length of a body, and at nothing else.
//
//   redis_floor PORT REDIS_PORT SCRIPT_SHA
//
//   /session/KEY   GETEX session:KEY EX 3600
//   /limit/KEY     EVALSHA SCRIPT_SHA 1 limit:KEY 60     (INCR, and EXPIRE the first time)
//   /cache/KEY     GET cache:KEY
//   / with a body  GET cache:KEY, where KEY is what the body has between its last ':' and '"'
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
#include <deque>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kInMax = 16384;
constexpr std::size_t kRepliesMax = 1 << 20;
constexpr std::string_view kLengthName = "content-length:";

struct Client {
  int fd = -1;
  std::size_t used = 0;
  std::size_t owed = 0;  // Replies of Redis that are on their way.
  bool closed = false;
  std::string out;
  char in[kInMax];
};

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "redis_floor: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int listen_on(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) give_up("bind");
  if (::listen(fd, 1024) != 0) give_up("listen");
  return fd;
}

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("connecting to Redis");
  }
  send_at_once(fd);
  return fd;
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

struct Request {
  std::string_view path;
  std::string_view body;
  std::size_t size = 0;
};

// Empty while it is not all there.
std::optional<Request> first_request(std::string_view in) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::size_t body = in.front() == 'P' ? body_length(in.substr(0, end + 2)) : 0;
  const std::size_t whole = end + 4 + body;
  if (whole > in.size()) return std::nullopt;
  const std::size_t path = in.find(' ') + 1;
  return Request{in.substr(path, in.find(' ', path) - path), in.substr(end + 4, body), whole};
}

// One reply, a bulk string or an integer. Empty while it is not all there.
struct Reply {
  std::string_view text;
  std::size_t size = 0;
  bool good = true;
};
std::optional<Reply> first_reply(std::string_view in) {
  const std::size_t line = in.find("\r\n");
  if (line == std::string_view::npos) return std::nullopt;
  const std::string_view first = in.substr(1, line - 1);
  if (in.front() != '$') return Reply{first, line + 2, in.front() == ':'};
  if (first.front() == '-') return Reply{{}, line + 2, false};
  const std::size_t length = std::strtoull(first.data(), nullptr, 10);
  const std::size_t whole = line + 2 + length + 2;
  if (whole > in.size()) return std::nullopt;
  return Reply{in.substr(line + 2, length), whole, true};
}

class Proxy {
 public:
  Proxy(int port, int redis_port, std::string sha)
      : listener_(listen_on(port)), redis_(connect_to(redis_port)), sha_(std::move(sha)) {
    watch(listener_, nullptr);
    watch(redis_, this);
    replies_.resize(kRepliesMax);
  }

  [[noreturn]] void run() {
    while (true) {
      epoll_event events[256];
      const int ready = ::epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < ready; ++i) handle(events[i].data.ptr);
      send_commands();
      send_answers();
    }
  }

 private:
  void watch(int fd, void* who) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = who;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void handle(void* who) {
    if (who == nullptr) return accept_all();
    if (who == this) return take_replies();
    take_requests(*static_cast<Client*>(who));
  }

  void accept_all() {
    for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      send_at_once(fd);
      auto* client = new Client;
      client->fd = fd;
      watch(fd, client);
    }
  }

  void take_requests(Client& client) {
    const ssize_t got = ::recv(client.fd, client.in + client.used, kInMax - client.used, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return close(client);
    client.used += static_cast<std::size_t>(got);
    std::string_view left(client.in, client.used);
    while (!left.empty()) {
      const auto request = first_request(left);
      if (!request) break;
      left.remove_prefix(request->size);
      if (ask(*request)) {
        waiting_.push_back(&client);
        ++client.owed;
      } else {
        answer(client, "404 Not Found", "{}");
      }
    }
    if (left.size() == kInMax) return close(client);
    if (!left.empty()) std::memmove(client.in, left.data(), left.size());
    client.used = left.size();
  }

  bool ask(const Request& request) {
    std::string_view path = request.path;
    const auto out = std::back_inserter(commands_);
    if (path == "/" && !request.body.empty()) {
      const std::size_t colon = request.body.rfind(':') + 1;
      get(request.body.substr(colon, request.body.find('"', colon) - colon));
      return true;
    }
    const std::size_t slash = path.find('/', 1);
    if (slash == std::string_view::npos) return false;
    const std::string_view key = path.substr(slash + 1);
    switch (path[1]) {
      case 's':
        fmt::format_to(out, "*4\r\n$5\r\nGETEX\r\n${}\r\nsession:{}\r\n$2\r\nEX\r\n$4\r\n3600\r\n",
                       8 + key.size(), key);
        return true;
      case 'l':
        fmt::format_to(
            out, "*5\r\n$7\r\nEVALSHA\r\n$40\r\n{}\r\n$1\r\n1\r\n${}\r\nlimit:{}\r\n$2\r\n60\r\n",
            sha_, 6 + key.size(), key);
        return true;
      case 'c':
        get(key);
        return true;
      default:
        return false;
    }
  }

  void get(std::string_view key) {
    fmt::format_to(std::back_inserter(commands_), "*2\r\n$3\r\nGET\r\n${}\r\ncache:{}\r\n",
                   6 + key.size(), key);
  }

  void take_replies() {
    const ssize_t got = ::recv(redis_, replies_.data() + used_, replies_.size() - used_, 0);
    if (got <= 0) give_up("Redis is gone");
    used_ += static_cast<std::size_t>(got);
    std::string_view left(replies_.data(), used_);
    while (!left.empty()) {
      const auto reply = first_reply(left);
      if (!reply) break;
      left.remove_prefix(reply->size);
      Client& client = *waiting_.front();
      waiting_.pop_front();
      --client.owed;
      answer(client, reply->good ? "200 OK" : "404 Not Found", reply->text);
    }
    if (!left.empty()) std::memmove(replies_.data(), left.data(), left.size());
    used_ = left.size();
  }

  void answer(Client& client, std::string_view status, std::string_view body) {
    if (client.out.empty()) answered_.push_back(&client);
    fmt::format_to(std::back_inserter(client.out),
                   "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                   status, body.size(), body);
  }

  void send_commands() {
    if (commands_.empty()) return;
    const ssize_t sent = ::send(redis_, commands_.data(), commands_.size(), MSG_NOSIGNAL);
    if (sent != std::ssize(commands_)) give_up("sending to Redis");
    commands_.clear();
  }

  void send_answers() {
    for (Client* client : answered_) {
      if (!client->closed) {
        static_cast<void>(::send(client->fd, client->out.data(), client->out.size(), MSG_NOSIGNAL));
      }
      client->out.clear();
      forget_if_done(*client);
    }
    answered_.clear();
  }

  void close(Client& client) {
    ::close(client.fd);
    client.closed = true;
    forget_if_done(client);
  }

  static void forget_if_done(Client& client) {
    if (client.closed && client.owed == 0 && client.out.empty()) delete &client;
  }

  const int epoll_ = ::epoll_create1(0);
  const int listener_;
  const int redis_;
  const std::string sha_;
  std::string commands_;
  std::vector<char> replies_;
  std::size_t used_ = 0;
  std::deque<Client*> waiting_;  // In the order of the commands.
  std::vector<Client*> answered_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: redis_floor PORT REDIS_PORT SCRIPT_SHA\n");
    return 2;
  }
  Proxy(std::atoi(argv[1]), std::atoi(argv[2]), argv[3]).run();
}
