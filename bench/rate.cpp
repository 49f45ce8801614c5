// Open-loop HTTP load at a fixed rate. Latency counts from the moment a request was due, so a
// server that stalls cannot hide it by slowing the generator down.
//
//   rate PORT CONNECTIONS REQUESTS_PER_SECOND SECONDS TEMPLATE [VALUES]
//
// TEMPLATE and VALUES: bench/load.hpp; values are drawn at random. Prints one JSON object. A
// request that is due while every connection is busy waits for one, and its wait counts.
#include "bench/load.hpp"

#include <fmt/format.h>

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>

namespace redoubt::bench {
namespace {

constexpr double kPatienceAfterEnd = 2.0;
constexpr double kLongestNap = 0.001;

class OpenLoop {
 public:
  OpenLoop(int port, int connections, double rate, Template request, Values* values)
      : rate_(rate), request_(std::move(request)), values_(values), epoll_(::epoll_create1(0)) {
    for (int i = 0; i < connections; ++i) {
      auto connection = std::make_unique<Connection>(port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = connection.get();
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event);
      idle_.push_back(connection.get());
      connections_.push_back(std::move(connection));
    }
  }

  void run(double seconds) {
    const auto total = static_cast<std::size_t>(rate_ * seconds);
    latencies_.reserve(total);
    started_ = now_seconds();
    while (latencies_.size() + bad_ < total) {
      const double now = now_seconds();
      if (now > started_ + seconds + kPatienceAfterEnd) break;
      send_due(now, total);
      wait(total);
    }
    unanswered_ = total - latencies_.size() - bad_;
    elapsed_ = now_seconds() - started_;
  }

  void report() {
    std::ranges::sort(latencies_);
    fmt::print(
        "{{\"requests\":{},\"seconds\":{:.3f},\"bad\":{},\"unanswered\":{},\"p50_ms\":{:.4f},"
        "\"p99_ms\":{:.4f},\"p999_ms\":{:.4f}}}\n",
        latencies_.size(), elapsed_, bad_, unanswered_, percentile(0.5), percentile(0.99),
        percentile(0.999));
  }

 private:
  double due(std::size_t i) const { return started_ + static_cast<double>(i) / rate_; }

  void send_due(double now, std::size_t total) {
    while (sent_ < total && !idle_.empty() && due(sent_) <= now) {
      Connection* connection = idle_.back();
      idle_.pop_back();
      request_.write(out_, values_ ? values_->at(random_() % values_->size()) : "");
      connection->due = due(sent_++);
      connection->send(out_);
    }
  }

  // Until the next request is due or something arrives, whichever is first.
  void wait(std::size_t total) {
    double nap = kLongestNap;
    if (sent_ < total && !idle_.empty()) nap = std::min(nap, due(sent_) - now_seconds());
    const timespec timeout{0, static_cast<long>(std::max(nap, 0.0) * 1e9)};
    epoll_event events[256];
    const int ready = ::epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
    if (ready < 0 && errno != EINTR) give_up("epoll_pwait2");
    for (int i = 0; i < ready; ++i) take(*static_cast<Connection*>(events[i].data.ptr));
  }

  void take(Connection& connection) {
    Answer answer;
    if (!connection.receive(answer)) return;
    if (answer.status / 100 == 2) {
      latencies_.push_back(now_seconds() - connection.due);
    } else {
      ++bad_;
    }
    idle_.push_back(&connection);
  }

  double percentile(double p) const {
    if (latencies_.empty()) return NAN;
    return latencies_[static_cast<std::size_t>(p * static_cast<double>(latencies_.size() - 1))] *
           1e3;
  }

  double rate_;
  Template request_;
  Values* values_;
  int epoll_;
  std::mt19937_64 random_{1};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::vector<double> latencies_;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t bad_ = 0;
  std::size_t unanswered_ = 0;
  double started_ = 0;
  double elapsed_ = 0;
};

}  // namespace
}  // namespace redoubt::bench

int main(int argc, char** argv) {
  using namespace redoubt::bench;
  if (argc < 6)
    give_up("usage: rate PORT CONNECTIONS REQUESTS_PER_SECOND SECONDS TEMPLATE [VALUES]");
  std::optional<Values> values;
  if (argc > 6) values = Values::from(argv[6]);
  OpenLoop loop(std::atoi(argv[1]), std::atoi(argv[2]), std::atof(argv[3]),
                Template::from_file(argv[5]), values ? &*values : nullptr);
  loop.run(std::atof(argv[4]));
  loop.report();
  return 0;
}
