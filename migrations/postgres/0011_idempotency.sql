-- compatible with 6
-- Answers of requests that had an idempotency key, committed with their effect. The id is a keyed hash
-- of tenant, principal, operation and key. A version that does not know the table carries out what it
-- is sent, as it always did.
CREATE TABLE rd_idempotency (
  id         bytea  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  tenant     text   COLLATE "C" NOT NULL,
  expires_at bigint NOT NULL,                         -- Wall milliseconds; bound into the seal.
  kid        bytea  NOT NULL CHECK (length(kid) = 4), -- The key it is sealed under.
  sealed     bytea  NOT NULL
);

CREATE INDEX rd_idempotency_expiry ON rd_idempotency (expires_at);
CREATE INDEX rd_idempotency_kid ON rd_idempotency (kid, id);

ALTER TABLE rd_idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_idempotency
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
