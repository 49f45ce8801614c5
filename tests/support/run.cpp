#include "tests/support/run.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <utility>

namespace redoubt::test {

std::shared_ptr<const Spawned> spawn(boost::asio::io_context& io,
                                     boost::asio::awaitable<void> work) {
  const auto spawned = std::make_shared<Spawned>();
  boost::asio::co_spawn(io, std::move(work), [spawned](std::exception_ptr e) {
    spawned->thrown = e;
    spawned->over = true;
  });
  return spawned;
}

void drive(boost::asio::io_context& io, boost::asio::awaitable<void> work) {
  const auto spawned = spawn(io, std::move(work));
  io.restart();
  io.run();
  if (spawned->thrown) std::rethrow_exception(spawned->thrown);
}

}  // namespace redoubt::test
