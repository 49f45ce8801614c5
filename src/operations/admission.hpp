// Whether one more operation is begun, or refused because there is too much already.
//
// Only what waits is counted: an operation that is answered from memory at once takes no room. Load
// is the fullest of three: the operations under way here, the queue of the record's writes, and how
// late this worker's event loop runs. Work of a kind is begun while the load is below the kind's
// bound (priority.hpp), and no tenant has more than its part of the room; revocations are not
// held to that part.
//
// Threads: one worker's. Cost: a look-up in a hash table.
#pragma once

#include "base/metrics.hpp"
#include "operations/priority.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace redoubt::operations {

struct AdmissionOptions {
  std::size_t operations_max = 4'096;  // Under way in one worker.
  std::size_t tenant_max = 3'072;      // Of one tenant.
};

class Admission {
 public:
  // The loop is this late when nothing more is begun.
  static constexpr Duration kLatenessMax{500};

  // `queue_fill`: of the record, 0 to 1.
  Admission(AdmissionOptions options, std::function<double()> queue_fill, Metrics& metrics);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // The room one operation takes, given back when it goes.
  class Place {
   public:
    Place() = default;  // None.
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), tenant_(std::move(other.tenant_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->leave(tenant_);
    }

   private:
    friend class Admission;
    Place(Admission& owner, std::string tenant) : owner_(&owner), tenant_(std::move(tenant)) {}

    Admission* owner_ = nullptr;
    std::string tenant_;
  };

  // Errors: unavailable "overloaded", "tenant_overloaded".
  Result<Place> admit(Priority priority, const std::string& tenant);

  // The loop did something so much later than it should have.
  void ran_late(Duration by) { lateness_ = by; }

  double load() const;
  std::size_t under_way() const { return under_way_; }

 private:
  void leave(const std::string& tenant);
  Unexpected refuse(Priority priority, Error error);

  const AdmissionOptions options_;
  const std::function<double()> queue_fill_;
  std::array<Counter*, kPriorityNames.size()> refused_{};
  Gauge& gauge_;
  Duration lateness_{0};
  std::size_t under_way_ = 0;
  boost::unordered_flat_map<std::string, std::size_t> by_tenant_;
};

}  // namespace redoubt::operations
