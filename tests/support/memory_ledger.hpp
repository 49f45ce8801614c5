// What a record knows of its Redis, without a record.
#pragma once

#include "shared/incarnation.hpp"

#include <string>
#include <utility>

namespace redoubt::test {

class MemoryLedger final : public shared::Ledger {
 public:
  explicit MemoryLedger(std::string identity) : identity_(std::move(identity)) {}

  Task<std::string> identity() override { co_return identity_; }
  Task<shared::Page> read() override {
    if (away_) co_return fail(unavailable("record_unavailable", "gone"));
    co_return page_;
  }
  Task<bool> replace(std::int64_t revision, shared::Incarnation next) override {
    if (away_) co_return fail(unavailable("record_unavailable", "gone"));
    if (revision != page_.revision) co_return false;
    page_.revision = revision + 1;
    page_.incarnation = std::move(next);
    co_return true;
  }

  const shared::Incarnation& now() const { return page_.incarnation; }
  void set_away(bool away) { away_ = away; }

 private:
  std::string identity_;
  shared::Page page_;
  bool away_ = false;
};

}  // namespace redoubt::test
