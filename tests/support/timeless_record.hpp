// A record whose journal is fresh at any time. In tests time jumps, and a record that follows a
// journal over a network cannot jump along: copies would be distrusted after each jump until its
// next look. What happens when a journal is behind has tests of its own.
#pragma once

#include "record/record.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace redoubt::test {

class TimelessRecord final : public record::Record {
 public:
  explicit TimelessRecord(std::unique_ptr<record::Record> record) : record_(std::move(record)) {}

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    return record_->write_unit(std::move(work));
  }
  Task<void> write_within(record::Reach reach,
                          std::function<Task<void>(record::Unit&)> work) override {
    return record_->write_within(std::move(reach), std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return record_->read_snapshot(std::move(work));
  }
  Task<void> read_tenant(std::string tenant,
                         std::function<Task<void>(sql::Transaction&)> work) override {
    return record_->read_tenant(std::move(tenant), std::move(work));
  }
  void subscribe(record::JournalListener listener) override {
    record_->subscribe(std::move(listener));
  }
  Task<void> wait_for_all() override { return record_->wait_for_all(); }
  record::Status status() const override { return record_->status(); }
  void stop() override { record_->stop(); }

  // It has looked at its journal since the test's time last jumped.
  bool has_looked(const Clock& clock) const { return clock.boot() < record_->fresh_until(); }

 private:
  std::unique_ptr<record::Record> record_;
};

}  // namespace redoubt::test
