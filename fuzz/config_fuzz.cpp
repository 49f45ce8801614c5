// Any text as redoubt.toml, as .env, as the value of each setting and as a limit's policy. What is
// accepted prints as text that means the same; what is refused comes with a reason.
//
// The first byte chooses which.
#include "base/assert.hpp"
#include "config/limit_policy.hpp"
#include "config/load.hpp"
#include "config/setting.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace redoubt;
using namespace redoubt::config;

void load_as(std::string_view file, const std::string& text) {
  ConfigSources sources;
  sources.read_file = [&](const std::string& path) -> Result<std::optional<std::string>> {
    if (path == file) return text;
    return std::nullopt;
  };
  const auto loaded = load_config(sources);
  if (!loaded) {
    RD_ASSERT(!loaded.error().fields.empty(), "a refusal has a reason");
    return;
  }
  RD_ASSERT(loaded->values.size() > all_settings().size(), "every setting and a policy are listed");
  RD_ASSERT(loaded->config.limits.policies.front().name == "default", "default is first");
  RD_ASSERT(!render_config(*loaded).empty(), "rendered");
}

void set_each(const std::string& text) {
  for (const auto& row : all_settings()) {
    Config config;
    const auto done = row.set(config, text);
    if (!done) {
      RD_ASSERT(!done.error().empty(), "a refusal has a reason");
      continue;
    }
    const auto shown = row.show(config);
    if (row.secret) {
      RD_ASSERT(shown == "set" || shown == "not set", "a secret is not shown");
      continue;
    }
    Config again;
    RD_ASSERT(row.set(again, shown) && row.show(again) == shown, row.name.key);
  }
}

void read_policy(const std::string& text) {
  const auto policy = parse_policy("p", text);
  if (!policy) return;
  const auto printed = format_policy(*policy);
  const auto again = parse_policy("p", printed);
  RD_ASSERT(again && format_policy(*again) == printed, printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      load_as("redoubt.toml", text);
      break;
    case 1:
      load_as(".env", text);
      break;
    case 2:
      set_each(text);
      break;
    default:
      read_policy(text);
      break;
  }
  return 0;
}
