-- Answers of requests that had an idempotency key, committed with their effect. The id is a keyed hash
-- of tenant, principal, operation and key. Rows may be long, so the table is not clustered on the id.
CREATE TABLE rd_idempotency (
  id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  tenant     TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,                         -- Wall milliseconds; bound into the seal.
  kid        BLOB    NOT NULL CHECK (length(kid) = 4), -- The key it is sealed under.
  sealed     BLOB    NOT NULL
) STRICT;

CREATE INDEX rd_idempotency_expiry ON rd_idempotency (expires_at);
CREATE INDEX rd_idempotency_kid ON rd_idempotency (kid, id);
