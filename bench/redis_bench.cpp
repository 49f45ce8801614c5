// What a command through the Redis client costs this process, beside the same bytes by plain system
// calls: GET of a small key, so many in flight at once.
//
//   redis_bench <port> [seconds]
#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/timers.hpp"
#include "redis/client.hpp"

#include <boost/asio/co_spawn.hpp>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

namespace redoubt {
namespace {

constexpr std::string_view kKey = "bench:key";

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void report(const char* what, int depth, std::uint64_t commands, double seconds, double cpu) {
  const auto n = static_cast<double>(commands);
  fmt::print("{:8} in flight {:4}  {:8.0f} commands/s  {:6.2f} us CPU each\n", what, depth,
             n / seconds, cpu / n * 1e6);
}

boost::asio::awaitable<void> loop(redis::Client& client, const bool& stop, std::uint64_t& count) {
  while (!stop) {
    const Result<redis::Value> reply =
        co_await client.run(redis::Command("GET").key(kKey).read_only());
    if (stop) co_return;
    if (!reply) {
      fmt::print("{}: {}\n", reply.error().slug, reply.error().cause);
      std::exit(1);
    }
    ++count;
  }
}

void through_client(std::uint16_t port, int depth, Duration duration) {
  boost::asio::io_context io{1};
  SystemClock clock;
  SystemRandom random;
  Metrics metrics;
  const auto timers = make_timers(io.get_executor());
  redis::Options options;
  options.topology = redis::Standalone{{.host = "127.0.0.1", .port = port, .socket_path = {}}};
  options.timeouts.operation = Duration(1000);
  const redis::ClientParts parts{clock, *timers, random, null_log(), metrics, {}};
  const auto client = redis::make_client(io.get_executor(), options, parts);
  bool stop = false;
  std::uint64_t count = 0;
  auto ended = [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  for (int i = 0; i < depth; ++i) {
    boost::asio::co_spawn(io, loop(**client, stop, count), ended);
  }
  while (count < 1000) io.run_one();
  const std::uint64_t before = count;
  const double cpu = cpu_seconds();
  const BootTime start = clock.boot();
  while (clock.boot() - start < duration) {
    for (int i = 0; i < 100; ++i) io.run_one();
  }
  const double seconds = static_cast<double>((clock.boot() - start).count()) / 1e9;
  report("client", depth, count - before, seconds, cpu_seconds() - cpu);
  stop = true;
  (*client)->stop();
  io.run_for(std::chrono::milliseconds(100));
}

void by_system_calls(std::uint16_t port, int depth, Duration duration) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::exit(1);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::string request;
  for (int i = 0; i < depth; ++i) redis::Command("GET").key(kKey).append_to(request);
  const std::size_t reply =
      std::string_view("$10\r\n0123456789\r\n").size() * static_cast<std::size_t>(depth);
  std::string buffer(reply, '\0');
  SystemClock clock;
  std::uint64_t count = 0;
  const double cpu = cpu_seconds();
  const BootTime start = clock.boot();
  while (clock.boot() - start < duration) {
    if (::send(socket, request.data(), request.size(), 0) < 0) std::exit(1);
    for (std::size_t got = 0; got < reply;) {
      const ssize_t n = ::recv(socket, buffer.data(), reply - got, 0);
      if (n <= 0) std::exit(1);
      got += static_cast<std::size_t>(n);
    }
    count += static_cast<std::uint64_t>(depth);
  }
  const double seconds = static_cast<double>((clock.boot() - start).count()) / 1e9;
  report("calls", depth, count, seconds, cpu_seconds() - cpu);
  ::close(socket);
}

void prepare(std::uint16_t port) {
  const std::string set = "redis-cli -p " + std::to_string(port) + " set " + std::string(kKey) +
                          " 0123456789 > /dev/null";
  if (std::system(set.c_str()) != 0) std::exit(1);
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print("redis_bench <port> [seconds]\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const redoubt::Duration duration(argc > 2 ? std::atoi(argv[2]) * 1000 : 2000);
  redoubt::prepare(port);
  for (const int depth : {1, 16, 64, 256}) {
    redoubt::by_system_calls(port, depth, duration);
    redoubt::through_client(port, depth, duration);
  }
  return 0;
}
