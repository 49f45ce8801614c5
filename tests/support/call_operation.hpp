// Runs an operation as the server does: at once if it can be, else as a coroutine.
#pragma once

#include "operations/operation.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/io_context.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace redoubt::test {

struct CalledOperation {
  operations::OperationOutput output;
  bool at_once = false;
};

inline CalledOperation call_operation(const operations::Registry& registry, const Context& context,
                                      std::string_view id,
                                      const operations::OperationInput& input) {
  CalledOperation called;
  const operations::Operation* operation = registry.find(id);
  if (operation == nullptr) throw std::out_of_range("no operation " + std::string(id));
  called.at_once = operation->now && operation->now(context, input, called.output);
  if (called.at_once) return called;
  boost::asio::io_context io;
  drive(io, operation->run(context, input, called.output));
  return called;
}

}  // namespace redoubt::test
