CREATE TABLE rd_session (
  id              bytea  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  tenant          text   COLLATE "C" NOT NULL,
  tenant_epoch    bigint NOT NULL,                                -- Ends with it: rd_tenant.epoch.
  user_id         text   COLLATE "C" NOT NULL,
  agent           text   COLLATE "C" NOT NULL,
  device          text   COLLATE "C" NOT NULL,
  address         text   COLLATE "C" NOT NULL,
  verifier        bytea  NOT NULL CHECK (length(verifier) = 32),  -- Keyed hash of id and secret.
  data            bytea  NOT NULL,                                -- Sealed.
  kid             bytea  NOT NULL CHECK (length(kid) = 4),        -- The key it is sealed under.
  ver             bigint NOT NULL,
  created         bigint NOT NULL,                                -- Times are wall milliseconds.
  absolute_expiry bigint NOT NULL,
  idle_ms         bigint NOT NULL,
  last_seen       bigint NOT NULL,                                -- Up to the idle slack behind.
  revoked_at      bigint,
  sweep_at        bigint NOT NULL, -- When to look whether the row has expired; not moved by a use.
  idle_end        bigint GENERATED ALWAYS AS                      -- With the idle slack in it.
    (last_seen + idle_ms + CASE WHEN idle_ms / 4 < 60000 THEN idle_ms / 4 ELSE 60000 END) STORED
) WITH (fillfactor = 90);  -- A use rewrites its row; with room beside it no index changes.

CREATE INDEX rd_session_user ON rd_session (tenant, user_id, id);
CREATE INDEX rd_session_sweep ON rd_session (sweep_at);
CREATE INDEX rd_session_kid ON rd_session (kid);

-- "Log out everywhere" for sessions that have no row: a sealed token carries the epoch it was made
-- in and ends with it.
CREATE TABLE rd_user_epoch (
  tenant  text   COLLATE "C" NOT NULL,
  user_id text   COLLATE "C" NOT NULL,
  epoch   bigint NOT NULL,
  PRIMARY KEY (tenant, user_id)
);

ALTER TABLE rd_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_session FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_session
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');

ALTER TABLE rd_user_epoch ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_user_epoch FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_user_epoch
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
