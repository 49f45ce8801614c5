#include "net/readiness.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace redoubt::net {
namespace {

constexpr int kBatch = 256;
constexpr int kBatchesPerTurn = 4;  // Then the rest of the loop has its turn.
constexpr int kBusyBatch = 16;      // So many were ready: more probably are by now.
constexpr std::size_t kGroup = 32;  // Small enough that the first need not wait long.

ReadyListener& listener_of(const epoll_event& event) {
  return *static_cast<ReadyListener*>(event.data.ptr);
}

}  // namespace

Readiness::Readiness(boost::asio::io_context& io) : set_(io) {}

Result<void> Readiness::open() {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) return fail(unavailable("epoll", "cannot make an epoll set", std::strerror(errno)));
  set_.assign(set);
  wait();
  return {};
}

bool Readiness::watch(int descriptor, ReadyListener& listener) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &listener;
  return ::epoll_ctl(set_.native_handle(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void Readiness::close() {
  boost::system::error_code ec;
  set_.close(ec);
}

void Readiness::wait() {
  set_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                  [this](boost::system::error_code ec) {
                    if (ec || !set_.is_open()) return;
                    deliver();
                    if (set_.is_open()) wait();
                  });
}

void Readiness::deliver() {
  std::array<epoll_event, kBatch> events;
  for (int turn = 0; turn < kBatchesPerTurn; ++turn) {
    const int n = ::epoll_wait(set_.native_handle(), events.data(), kBatch, 0);
    if (n <= 0) return;
    std::span<const epoll_event> left = std::span(events).first(static_cast<std::size_t>(n));
    while (!left.empty()) {
      const auto group = left.first(std::min(left.size(), kGroup));
      deliver(group);
      left = left.subspan(group.size());
    }
    if (n < kBusyBatch) return;
  }
}

void Readiness::deliver(std::span<const epoll_event> group) {
  for (const epoll_event& event : group) listener_of(event).on_ready(event.events);
  for (const epoll_event& event : group) listener_of(event).on_taken();
  for (const epoll_event& event : group) listener_of(event).on_worked();
}

}  // namespace redoubt::net
