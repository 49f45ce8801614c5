// The key ring and the audit trail as operations: keyring.status, keyring.rotate, audit.list,
// audit.verify.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/audit.hpp>
#include <redoubt/keys.hpp>

namespace redoubt::operations {

// `keys` and `audit` outlive the registry.
void register_keys(Registry& registry, EncryptionKeys& keys);
void register_audit(Registry& registry, Audit& audit);

}  // namespace redoubt::operations
