CREATE TABLE rd_tenant (
  id text COLLATE "C" PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  disabled_at bigint,               -- NULL while it is enabled.
  epoch bigint NOT NULL DEFAULT 0   -- Grows when it is disabled: what carries an older one has ended.
);

-- The keyed hash alone is kept: nothing here can be presented as a key.
CREATE TABLE rd_api_key (
  id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  role text COLLATE "C" NOT NULL CHECK (role IN ('read_only', 'service', 'admin')),
  areas bigint NOT NULL,
  mac bytea NOT NULL,
  created_at bigint NOT NULL,
  created_by text COLLATE "C" NOT NULL,
  expires_at bigint,
  last_used_at bigint,
  revoked_at bigint
);

CREATE INDEX rd_api_key_by_tenant ON rd_api_key (tenant, id);

-- Secrets of the instance itself, sealed by the key ring.
CREATE TABLE rd_secret (
  name text COLLATE "C" PRIMARY KEY,
  kid text COLLATE "C" NOT NULL,     -- Of the key it is sealed under, 8 hex digits.
  version bigint NOT NULL,           -- Grows whenever it is sealed again; bound into the seal.
  sealed bytea NOT NULL
);

-- Every key that may have sealed a row, noted before it seals the first one; so that a ring which
-- lacks a key in use is recognised by name.
CREATE TABLE rd_encryption_key (
  kid text COLLATE "C" PRIMARY KEY,
  label text COLLATE "C" NOT NULL,
  first_seen_at bigint NOT NULL
);

ALTER TABLE rd_tenant ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_tenant FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_tenant
  USING (id = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');

ALTER TABLE rd_api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_api_key
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
