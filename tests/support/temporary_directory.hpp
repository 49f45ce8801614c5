// A directory for one test, removed at its end. `in_memory` puts it on a memory file system where
// there is one: for tests that sync often and ask nothing of the disk.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace redoubt::test {

class TemporaryDirectory {
 public:
  enum class Where { on_disk, in_memory };

  explicit TemporaryDirectory(Where where = Where::on_disk) {
    const std::filesystem::path memory = "/dev/shm";
    const bool use_memory = where == Where::in_memory && std::filesystem::is_directory(memory);
    const auto base = use_memory ? memory : std::filesystem::temp_directory_path();
    path_ = (base / "redoubt-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace redoubt::test
