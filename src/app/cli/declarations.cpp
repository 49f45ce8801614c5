#include "app/cli/declarations.hpp"

#include "app/cli/commands.hpp"
#include "app/worker.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace redoubt::app {
namespace {

// A data directory that goes away with the command.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "redoubt-XXXXXX").string();
    if (const char* made = ::mkdtemp(pattern.data())) path_ = made;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

int with_declarations(const std::function<int(const operations::Registry&)>& use) {
  const TemporaryDirectory directory;
  config::Config config;
  config.log.level = LogLevel::off;
  config.record.data_dir = directory.path();
  boost::asio::io_context io;
  auto instance = Instance::open(config, io);
  if (!instance) {
    std::fprintf(stderr, "redoubt: %s\n", instance.error().message.c_str());
    return kExitFailed;
  }
  auto services = make_services(**instance, io);
  if (!services) {
    std::fprintf(stderr, "redoubt: %s\n", services.error().message.c_str());
    return kExitFailed;
  }
  return use((*services)->registry);
}

}  // namespace redoubt::app
