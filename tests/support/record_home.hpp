// Where a test keeps its record: a SQLite file in a temporary directory, or, when the environment
// says REDOUBT_TEST_RECORD=postgresql, a database of its own on a PostgreSQL that the test program
// starts. ctest runs the suites that use it once for each.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"
#include "tests/support/temporary_directory.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::test {

class RecordHome {
 public:
  struct Options {
    std::size_t queue_units_max = 16'384;
    std::size_t batch_units_max = 0;  // 0: as many as the engine takes by itself.
  };

  // `where` the SQLite file is: batches form while a disk syncs.
  explicit RecordHome(TemporaryDirectory::Where where = TemporaryDirectory::Where::in_memory)
      : directory_(where) {}

  static bool is_postgres();

  // Opens it, or opens it again after the record that was opened before has gone. Throws when it
  // cannot.
  std::unique_ptr<record::Record> open(Clock& clock, Metrics& metrics) {
    return open(clock, metrics, Options{});
  }
  std::unique_ptr<record::Record> open(Clock& clock, Metrics& metrics, Options options);

  // What somebody with the database can do: the triggers that guard it switched off, then anything.
  // REQUIRES: no record has it open.
  void tamper(const std::string& script);

  // What holds the data on the disk, all of it written out. REQUIRES: no record has it open.
  std::vector<std::string> files() const;

  std::string path() const { return directory_.file("redoubt.db"); }  // Of the SQLite file.
  const std::string& url() const { return url_; }                     // Of the PostgreSQL database.

 private:
  TemporaryDirectory directory_;
  std::string url_;
};

}  // namespace redoubt::test
