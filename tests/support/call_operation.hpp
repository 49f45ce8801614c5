// Runs an operation as the server does: at once if it can be, else as a coroutine.
#pragma once

#include "operations/operation.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/io_context.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace redoubt::test {

// Whether it was at once. `output` stays where it is: its content type may point into it.
inline bool call_operation(const operations::Registry& registry, const Context& context,
                           std::string_view id, const operations::OperationInput& input,
                           operations::OperationOutput& output) {
  const operations::Operation* operation = registry.find(id);
  if (operation == nullptr) throw std::out_of_range("no operation " + std::string(id));
  if (operation->now && operation->now(context, input, output)) return true;
  boost::asio::io_context io;
  drive(io, operation->run(context, input, output));
  return false;
}

}  // namespace redoubt::test
