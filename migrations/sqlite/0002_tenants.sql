CREATE TABLE rd_tenant (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER,               -- NULL while it is enabled.
  epoch INTEGER NOT NULL DEFAULT 0   -- Grows when it is disabled: what carries an older one has ended.
) STRICT, WITHOUT ROWID;

-- The keyed hash alone is kept: nothing here can be presented as a key.
CREATE TABLE rd_api_key (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('read_only', 'service', 'admin')),
  areas INTEGER NOT NULL,
  mac BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX rd_api_key_by_tenant ON rd_api_key (tenant, id);

-- Secrets of the instance itself, sealed by the key ring.
CREATE TABLE rd_secret (
  name TEXT PRIMARY KEY,
  kid TEXT NOT NULL,                 -- Of the key it is sealed under, 8 hex digits.
  version INTEGER NOT NULL,          -- Grows whenever it is sealed again; bound into the seal.
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Every key that may have sealed a row, noted before it seals the first one; so that a ring which
-- lacks a key in use is recognised by name.
CREATE TABLE rd_encryption_key (
  kid TEXT PRIMARY KEY,
  label TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
