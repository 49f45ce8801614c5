-- Limits of class strict: what has been used of each, by (tenant, policy, subject). A subject without
-- a row has used nothing. `memory` is the algorithm's (services/limits/strict_memory.hpp).
CREATE TABLE rd_limit (
  tenant     TEXT    NOT NULL,
  policy     TEXT    NOT NULL,
  subject    BLOB    NOT NULL,
  memory     BLOB    NOT NULL,
  full_at_ms INTEGER NOT NULL, -- From then on the row says nothing that its absence does not.
  PRIMARY KEY (tenant, policy, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX rd_limit_full ON rd_limit (full_at_ms);
