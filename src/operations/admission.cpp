#include "operations/admission.hpp"

#include <algorithm>

namespace redoubt::operations {

Admission::Admission(AdmissionOptions options, std::function<double()> queue_fill, Metrics& metrics)
    : options_(options),
      queue_fill_(std::move(queue_fill)),
      gauge_(metrics.gauge("redoubt_operations_under_way",
                           "Operations that wait for something, of all workers.")) {
  for (std::size_t i = 0; i < kPriorityNames.size(); ++i) {
    refused_[i] = &metrics.counter("redoubt_operations_shed_total",
                                   "Operations refused because of overload, by their kind.",
                                   {{"priority", kPriorityNames[i]}});
  }
}

double Admission::load() const {
  const double here =
      static_cast<double>(under_way_) / static_cast<double>(options_.operations_max);
  const double late = std::chrono::duration<double>(lateness_) / kLatenessMax;
  return std::max({here, queue_fill_(), late});
}

Result<Admission::Place> Admission::admit(Priority priority, const std::string& tenant) {
  const auto kind = static_cast<std::size_t>(priority);
  if (load() >= kBegunBelow[kind] || under_way_ >= options_.operations_max) {
    return refuse(priority, unavailable("overloaded",
                                        "The server has more work than it can do; try again "
                                        "shortly."));
  }
  std::size_t& own = by_tenant_[tenant];
  if (own >= options_.tenant_max && priority != Priority::revocation) {
    return refuse(priority, unavailable("tenant_overloaded",
                                        "Too many requests of this tenant are under way; try "
                                        "again shortly."));
  }
  ++own;
  ++under_way_;
  gauge_.add(1);
  return Place(*this, tenant);
}

void Admission::leave(const std::string& tenant) {
  --under_way_;
  gauge_.add(-1);
  const auto found = by_tenant_.find(tenant);
  if (--found->second == 0) by_tenant_.erase(found);
}

Unexpected Admission::refuse(Priority priority, Error error) {
  refused_[static_cast<std::size_t>(priority)]->add();
  error.retry_after = std::chrono::seconds(1);
  return fail(std::move(error));
}

}  // namespace redoubt::operations
