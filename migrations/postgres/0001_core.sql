-- Facts about the database itself, by name. Texts compare as bytes here as they do in SQLite, whatever
-- the database's collation is.
CREATE TABLE rd_meta (
  name text COLLATE "C" PRIMARY KEY,
  number bigint NOT NULL DEFAULT 0,
  bytes bytea NOT NULL DEFAULT ''
);

-- Who did what. Each row's hash covers the row and the hash before it; 'audit.head' in rd_meta holds
-- the last one, 'audit.cut' the last one that retention has deleted.
CREATE TABLE rd_audit (
  seq bigint PRIMARY KEY,
  at bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  principal text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  address text COLLATE "C" NOT NULL,
  hash bytea NOT NULL
);

CREATE INDEX rd_audit_by_tenant ON rd_audit (tenant, seq);

CREATE FUNCTION rd_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rd_audit is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER rd_audit_no_update BEFORE UPDATE OR TRUNCATE ON rd_audit
FOR EACH STATEMENT EXECUTE FUNCTION rd_audit_is_append_only();

-- Retention records the cut first and then deletes what lies before it.
CREATE FUNCTION rd_audit_is_trimmed_at_its_cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.seq > coalesce((SELECT number FROM rd_meta WHERE name = 'audit.cut'), 0) THEN
    RAISE EXCEPTION 'rd_audit rows are deleted by retention only'
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$;

CREATE TRIGGER rd_audit_no_delete BEFORE DELETE ON rd_audit
FOR EACH ROW EXECUTE FUNCTION rd_audit_is_trimmed_at_its_cut();

-- Row-level security, here and below: a transaction sees the rows of the tenant it has named in the
-- setting redoubt.tenant, or all rows when that is '*', or none. FORCE binds the tables' owner too.
ALTER TABLE rd_audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_audit FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_audit
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
