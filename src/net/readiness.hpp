// Which sockets have something to read or room to write: one edge-triggered epoll set inside an
// io_context, for connections whose reads and writes are plain system calls.
//
// Asio's own reads try the call first and wait when there was nothing, which costs every request of
// a keep-alive connection one recv() that finds nothing, beside an operation to queue. Here a
// connection is told once that it is ready, and a batch of ready connections costs the loop one
// wake-up.
//
// A batch goes through three steps, a group at a time: all of the group take in what has arrived,
// then all work on it, then all send. Each step runs the same code many times over while it lies in
// the CPU's caches, and a peer that is woken by an answer finds the next one there before it sleeps
// again.
//
// Threads: the io_context's.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/epoll.h>

#include <cstdint>
#include <span>

namespace redoubt::net {

class ReadyListener {
 public:
  virtual ~ReadyListener() = default;
  // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR: what became true since the last call. Takes
  // in what has arrived.
  virtual void on_ready(std::uint32_t events) = 0;
  // After that, works on it,
  virtual void on_taken() = 0;
  // and then sends what came of it.
  virtual void on_worked() = 0;
};

class Readiness {
 public:
  explicit Readiness(boost::asio::io_context& io);

  // Errors: unavailable when the kernel has no room for another set.
  Result<void> open();
  // Until the descriptor is closed. The listener must outlive the turn of the loop in which it
  // closes its descriptor. False: the kernel refused it.
  bool watch(int descriptor, ReadyListener& listener);
  void close();

 private:
  void wait();
  void deliver();
  static void deliver(std::span<const epoll_event> group);

  boost::asio::posix::stream_descriptor set_;
};

}  // namespace redoubt::net
