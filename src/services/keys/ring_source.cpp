#include "services/keys/ring_source.hpp"

#include "services/keys/ring_file.hpp"

#include <utility>

namespace redoubt::keys {
namespace {

constexpr std::string_view kSetting = "TOKEN_ENCRYPTION_KEY";

Error missing_key() {
  return Error(
      Errc::invalid_argument, "encryption_key_missing",
      "TOKEN_ENCRYPTION_KEY is not set, and production mode does not make one: set it to 64 "
      "hex digits (openssl rand -hex 32), or TOKEN_ENCRYPTION_KEY_FILE to a file with them");
}

class SettingSource final : public RingSource {
 public:
  explicit SettingSource(ReadKeySetting read) : read_(std::move(read)) {}

  KeyRingSource kind() const override { return KeyRingSource::setting; }
  std::string_view place() const override { return kSetting; }

  Result<std::vector<RingKey>> load() override {
    RD_TRY(text, read_());
    if (!text) return fail(missing_key());
    return parse_key_ring(*text);
  }

  Result<std::vector<RingKey>> make_primary(std::span<const KeyId>) override {
    return fail(Error(
        Errc::conflict, "nothing_to_rotate_to",
        "TOKEN_ENCRYPTION_KEY names no new primary. Make a key (openssl rand -hex 32) and put it "
        "first, keeping the old one: new:<hex>,old:<hex>. In the file of TOKEN_ENCRYPTION_KEY_FILE "
        "it is picked up by this call or by SIGHUP; in the environment, by a restart."));
  }

 private:
  ReadKeySetting read_;
};

}  // namespace

Result<std::unique_ptr<RingSource>> open_ring_source(RingSettings settings, Random& random) {
  RD_TRY(text, settings.read());
  std::unique_ptr<RingSource> source;
  if (text) {
    source = std::make_unique<SettingSource>(std::move(settings.read));
  } else if (settings.production) {
    return fail(missing_key());
  } else {
    RD_TRY(file, open_ring_file(settings.data_dir + "/keyring", random));
    source = std::move(file);
  }
  RD_CHECK(source->load());
  return source;
}

}  // namespace redoubt::keys
