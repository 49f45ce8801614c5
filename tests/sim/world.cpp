#include "tests/sim/world.hpp"

#include <algorithm>

namespace redoubt::sim {

World::~World() {
  queue_.clear();
  settle();
}

void World::after(Nanos delay, const LifePtr& life, Action action) {
  queue_.push_back({now_ + std::max(delay, Nanos(0)), ++numbers_, life, std::move(action)});
  std::ranges::push_heap(queue_, Later());
}

void World::run_until(Nanos end) {
  settle();
  while (!queue_.empty() && queue_.front().at <= end) {
    std::ranges::pop_heap(queue_, Later());
    Event event = std::move(queue_.back());
    queue_.pop_back();
    now_ = event.at;
    run(std::move(event));
  }
  now_ = end;
}

void World::run(Event event) {
  if (event.life && !event.life->alive_) return;
  if (event.life && event.life->stopped_) {
    event.life->held_.push_back(std::move(event.action));
    return;
  }
  ++events_;
  event.action();
  settle();
}

void World::settle() {
  while (io_.poll() > 0) {
  }
}

LifePtr World::begin_life() {
  return std::make_shared<Life>();
}

// The handlers go, then the coroutines they belong to: asio unwinds those on the executor.
void World::end_life(const LifePtr& life) {
  life->alive_ = false;
  life->held_.clear();
  while (!life->pending_.empty()) {
    Pending* const first = life->pending_.begin()->second;
    life->pending_.erase(life->pending_.begin());
    first->drop();
    settle();
  }
  settle();
}

void World::continue_life(const LifePtr& life) {
  life->stopped_ = false;
  std::deque<Action> held = std::exchange(life->held_, {});
  for (Action& action : held) {
    if (!life->alive_) return;
    ++events_;
    action();
    settle();
  }
}

}  // namespace redoubt::sim
