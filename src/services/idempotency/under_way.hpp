// The keys that this process is working on.
//
// Threads: any.
#pragma once

#include "base/ids.hpp"

#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace redoubt::idempotency {

class UnderWay {
 public:
  class Turn {
   public:
    Turn(UnderWay& all, const Id128& id) : all_(&all), id_(id) {}
    Turn(Turn&& other) noexcept : all_(std::exchange(other.all_, nullptr)), id_(other.id_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (all_ != nullptr) all_->leave(id_);
    }

   private:
    UnderWay* all_;
    Id128 id_;
  };

  // Empty: somebody else has it.
  std::optional<Turn> enter(const Id128& id) {
    const std::lock_guard lock(mutex_);
    if (!ids_.insert(id).second) return std::nullopt;
    return std::optional<Turn>(std::in_place, *this, id);
  }

 private:
  void leave(const Id128& id) {
    const std::lock_guard lock(mutex_);
    ids_.erase(id);
  }

  std::mutex mutex_;
  std::set<Id128> ids_;
};

}  // namespace redoubt::idempotency
