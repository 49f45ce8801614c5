-- Limits of class strict: what has been used of each, by (tenant, policy, subject). A subject without
-- a row has used nothing. `memory` is the algorithm's (services/limits/strict_memory.hpp).
CREATE TABLE rd_limit (
  tenant     text   COLLATE "C" NOT NULL,
  policy     text   COLLATE "C" NOT NULL,
  subject    bytea  NOT NULL,
  memory     bytea  NOT NULL,
  full_at_ms bigint NOT NULL, -- From then on the row says nothing that its absence does not.
  PRIMARY KEY (tenant, policy, subject)
);

CREATE INDEX rd_limit_full ON rd_limit (full_at_ms);

ALTER TABLE rd_limit ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_limit FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_limit
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
