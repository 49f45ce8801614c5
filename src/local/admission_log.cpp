#include "local/limit_algorithms.hpp"

#include <algorithm>

namespace redoubt::local {

void AdmissionLog::append(Admission admission) {
  total_ += admission.cost;
  if (all_.size() > expired_ && all_.back().at == admission.at) {
    all_.back().cost += admission.cost;
    return;
  }
  if (all_.size() == all_.capacity() && expired_ > 0) drop_expired();
  all_.push_back(admission);
}

void AdmissionLog::expire(Nanos up_to) {
  while (expired_ < all_.size() && all_[expired_].at <= up_to) {
    total_ -= all_[expired_].cost;
    ++expired_;
  }
  // Half of it at a time: each admission is then moved once on average.
  if (expired_ > all_.size() / 2) drop_expired();
}

void AdmissionLog::drop_expired() {
  const std::size_t live = all_.size() - expired_;
  if (live * 8 < all_.capacity()) {
    // A burst is over: give its memory back.
    std::vector<Admission> smaller;
    smaller.reserve(live * 2);
    smaller.assign(all_.begin() + static_cast<std::ptrdiff_t>(expired_), all_.end());
    all_ = std::move(smaller);
  } else {
    all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(expired_));
  }
  expired_ = 0;
}

bool AdmissionLog::cap(Nanos now) {
  if (all_.empty() || all_.back().at <= now) return false;
  std::int64_t later = 0;
  while (all_.size() > expired_ && all_.back().at >= now) {
    later += all_.back().cost;
    all_.pop_back();
  }
  if (later > 0) all_.push_back({now, later});
  return later > 0;
}

void AdmissionLog::give_back(std::int64_t cost) {
  while (cost > 0 && all_.size() > expired_) {
    Admission& newest = all_.back();
    const std::int64_t taken = std::min(cost, newest.cost);
    newest.cost -= taken;
    total_ -= taken;
    cost -= taken;
    if (newest.cost == 0) all_.pop_back();
  }
}

void AdmissionLog::coarsen() {
  drop_expired();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all_.size(); i += 2) {
    Admission merged = all_[i];
    if (i + 1 < all_.size()) merged = {all_[i + 1].at, merged.cost + all_[i + 1].cost};
    all_[kept++] = merged;
  }
  all_.resize(kept);
}

}  // namespace redoubt::local
