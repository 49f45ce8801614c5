// A record whose writes are refused while it is told to, as those of one on a full disk.
#pragma once

#include "record/record.hpp"

#include <functional>
#include <utility>

namespace redoubt::test {

class RefusingRecord final : public record::Record {
 public:
  explicit RefusingRecord(record::Record& record) : record_(record) {}

  void refuse(bool refusing) { refusing_ = refusing; }
  // As while its queue is full: writes are refused, and the record is not down.
  void overload(bool overloaded) { overloaded_ = overloaded; }

  // As one that cannot be reached: nothing can be read or written, and the journal not followed.
  // `fresh_until`: of what was heard before.
  void cut_off(BootTime fresh_until) {
    cut_off_ = true;
    fresh_until_ = fresh_until;
  }
  // The next read is the one that finds out.
  void cut_off_at_next_read() { cuts_off_ = true; }
  void reconnect() {
    cut_off_ = false;
    fresh_until_ = BootTime{INT64_MAX};
  }
  bool cut_off() const override { return cut_off_; }

  // Nobody has looked at the journal since then.
  void stop_following(BootTime at) { fresh_until_ = at; }
  BootTime fresh_until() const override { return fresh_until_; }

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    if (cut_off_) co_return fail(unavailable("record_unavailable", "cut off"));
    if (refusing_) co_return fail(unavailable("record_unavailable", "disk full"));
    if (overloaded_) co_return fail(unavailable("record_overloaded", "too many writes wait"));
    co_return co_await record_.write_unit(std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    if (cuts_off_) cut_off_ = true;
    if (cut_off_) co_return fail(unavailable("record_unavailable", "cut off"));
    co_return co_await record_.read_snapshot(std::move(work));
  }
  Task<void> read_within(record::Reach reach,
                         std::function<Task<void>(sql::Transaction&)> work) override {
    read_deadline_ = reach.deadline;
    co_return co_await Record::read_within(std::move(reach), std::move(work));
  }
  // That the last read had which gave one.
  BootTime read_deadline() const { return read_deadline_; }
  void subscribe(record::JournalListener listener) override {
    record_.subscribe(std::move(listener));
  }
  record::Status status() const override {
    record::Status status = record_.status();
    if (refusing_ || cut_off_) status.state = record::State::down;
    return status;
  }
  void stop() override {}

 private:
  record::Record& record_;
  bool refusing_ = false;
  bool overloaded_ = false;
  bool cut_off_ = false;
  bool cuts_off_ = false;
  BootTime fresh_until_{INT64_MAX};
  BootTime read_deadline_{INT64_MAX};
};

}  // namespace redoubt::test
