// The key ring in a file of mode 0600, for development: made once, replaced as a whole at rotation.
#pragma once

#include "services/keys/ring_source.hpp"

#include <memory>
#include <string>

namespace redoubt::keys {

// Makes the file with one key when there is none. Its content is in the grammar of
// TOKEN_ENCRYPTION_KEY, so that it can become that setting as it is.
// Errors: invalid_argument "key_ring_file": it cannot be made or read, is no regular file, belongs
// to another user or is open to others.
Result<std::unique_ptr<RingSource>> open_ring_file(std::string path, Random& random);

}  // namespace redoubt::keys
