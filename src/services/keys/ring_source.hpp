// Where the key ring comes from: the setting TOKEN_ENCRYPTION_KEY, or, in development, a file made
// at first start.
#pragma once

#include "base/vault.hpp"

#include <redoubt/keys.hpp>
#include <redoubt/random.hpp>
#include <redoubt/result.hpp>
#include <redoubt/secret.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::keys {

class RingSource {
 public:
  virtual ~RingSource() = default;

  virtual KeyRingSource kind() const = 0;
  virtual std::string_view place()
      const = 0;  // For messages: the setting's name or the file's path.

  // The ring as it is there now. Errors: invalid_argument with the exact reason.
  virtual Result<std::vector<RingKey>> load() = 0;

  // The ring with a new primary, without the keys of `retire`; kept before it is returned.
  // Errors: conflict "nothing_to_rotate_to" where keys are made by the operator.
  virtual Result<std::vector<RingKey>> make_primary(std::span<const KeyId> retire) = 0;
};

// TOKEN_ENCRYPTION_KEY, read anew each time; empty when it is not set.
using ReadKeySetting = std::function<Result<std::optional<Secret>>()>;

struct RingSettings {
  ReadKeySetting read;
  bool production = false;
  std::string data_dir = {};  // Exists. The file is <data_dir>/keyring.
};

// The setting when it is set; else the file, which is made when missing.
// Errors: invalid_argument "encryption_key_missing" in production mode without the setting; those
// of parse_key_ring; "key_ring_file" when the file cannot be used, with the reason and the remedy.
Result<std::unique_ptr<RingSource>> open_ring_source(RingSettings settings, Random& random);

}  // namespace redoubt::keys
