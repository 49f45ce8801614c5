#include "record/completion.hpp"

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kTogether = 64;  // Then others that live there have their turn.

void post_together(std::vector<Completed> completed);

// An exception of one caller is that caller's: the others go on all the same.
void go_on(std::vector<Completed> completed) {
  for (auto next = completed.begin(); next != completed.end();) {
    Completed& one = *next++;
    try {
      one.caller.go_on(std::move(one.result));
    } catch (...) {
      completed.erase(completed.begin(), next);
      if (!completed.empty()) post_together(std::move(completed));
      throw;
    }
  }
}

void post_together(std::vector<Completed> completed) {
  const asio::any_io_executor home = completed.front().caller.home();
  asio::post(home, [completed = std::move(completed)]() mutable { go_on(std::move(completed)); });
}

}  // namespace

void complete(std::vector<Completed> completed) {
  while (!completed.empty()) {
    const asio::any_io_executor home = completed.front().caller.home();
    std::vector<Completed> together;
    std::vector<Completed> others;
    for (Completed& one : completed) {
      const bool here = together.size() < kTogether && one.caller.home() == home;
      (here ? together : others).push_back(std::move(one));
    }
    post_together(std::move(together));
    completed = std::move(others);
  }
}

}  // namespace redoubt::record
