-- Facts about the database itself, by name.
CREATE TABLE rd_meta (
  name TEXT PRIMARY KEY,
  number INTEGER NOT NULL DEFAULT 0,
  bytes BLOB NOT NULL DEFAULT x''
) STRICT, WITHOUT ROWID;

-- Who did what. Each row's hash covers the row and the hash before it; 'audit.head' in rd_meta holds
-- the last one, 'audit.cut' the last one that retention has deleted.
CREATE TABLE rd_audit (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  principal TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL,
  request_id TEXT NOT NULL,
  address TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE INDEX rd_audit_by_tenant ON rd_audit (tenant, seq);

CREATE TRIGGER rd_audit_no_update BEFORE UPDATE ON rd_audit
BEGIN
  SELECT RAISE(ABORT, 'rd_audit is append-only');
END;

-- REPLACE would delete the old row without asking the trigger below.
CREATE TRIGGER rd_audit_no_replace BEFORE INSERT ON rd_audit
WHEN EXISTS (SELECT 1 FROM rd_audit WHERE seq = NEW.seq)
BEGIN
  SELECT RAISE(ABORT, 'rd_audit is append-only');
END;

-- Retention records the cut first and then deletes what lies before it.
CREATE TRIGGER rd_audit_no_delete BEFORE DELETE ON rd_audit
WHEN OLD.seq > coalesce((SELECT number FROM rd_meta WHERE name = 'audit.cut'), 0)
BEGIN
  SELECT RAISE(ABORT, 'rd_audit rows are deleted by retention only');
END;
