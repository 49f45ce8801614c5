// Sends one request for every value, as fast as the connections take them: fills a server with
// sessions, or reads each of them once.
//
//   replay PORT CONNECTIONS TEMPLATE VALUES [FIELD]
//
// TEMPLATE and VALUES: bench/load.hpp. With FIELD, the string of that name in each JSON answer is
// printed, a line each. Any answer that is not 2xx stops it.
#include "bench/load.hpp"

#include <fmt/format.h>

#include <sys/epoll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace redoubt::bench {
namespace {

void print_field(std::string_view body, std::string_view mark) {
  const std::size_t at = body.find(mark);
  if (at == std::string_view::npos) give_up(fmt::format("no {} in {}", mark, body));
  body.remove_prefix(at + mark.size());
  fmt::print("{}\n", body.substr(0, body.find('"')));
}

void replay(int port, std::size_t connections, const Template& request, Values values,
            const std::string& field) {
  const std::string mark = field.empty() ? "" : "\"" + field + "\":\"";
  const int epoll = ::epoll_create1(0);
  std::vector<std::unique_ptr<Connection>> all;
  std::string out;
  std::size_t sent = 0;
  const auto send_next = [&](Connection& connection) {
    if (sent == values.size()) return;
    request.write(out, values.at(sent++));
    connection.send(out);
  };
  for (std::size_t i = 0; i < std::min(connections, values.size()); ++i) {
    all.push_back(std::make_unique<Connection>(port));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = all.back().get();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, all.back()->fd(), &event);
    send_next(*all.back());
  }
  for (std::size_t done = 0; done < values.size();) {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      Answer answer;
      if (!connection.receive(answer)) continue;
      if (answer.status / 100 != 2) give_up(fmt::format("{}: {}", answer.status, answer.body));
      if (!mark.empty()) print_field(answer.body, mark);
      ++done;
      send_next(connection);
    }
  }
}

}  // namespace
}  // namespace redoubt::bench

int main(int argc, char** argv) {
  using namespace redoubt::bench;
  if (argc < 5) give_up("usage: replay PORT CONNECTIONS TEMPLATE VALUES [FIELD]");
  replay(std::atoi(argv[1]), std::strtoull(argv[2], nullptr, 10), Template::from_file(argv[3]),
         Values::from(argv[4]), argc > 5 ? argv[5] : "");
  return 0;
}
