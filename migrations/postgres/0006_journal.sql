-- What changed, written in the transaction that changes it and followed by every instance
-- (record/journal_tail.hpp). Its numbers are drawn before the commit, so they commit out of order and
-- leave gaps; kept an hour, far longer than an instance trusts copies it has heard nothing about.
CREATE TABLE rd_journal (
  seq    bigserial PRIMARY KEY,
  xid    xid8   NOT NULL DEFAULT pg_current_xact_id(),
  origin text   COLLATE "C" NOT NULL,               -- The instance that wrote it: rd_instance.id.
  tenant text   COLLATE "C" NOT NULL,
  kind   bigint NOT NULL,                           -- JournalEntry::Kind.
  key    text   COLLATE "C" NOT NULL,
  value  bigint NOT NULL,
  at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX rd_journal_age ON rd_journal (at);

ALTER TABLE rd_journal ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_journal FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_journal
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');

-- The running instances. Whether one is alive is judged by whether `heartbeat` moves, on the
-- observer's own clock; `seen_at` only says which rows are old enough to delete.
CREATE TABLE rd_instance (
  id          text   COLLATE "C" PRIMARY KEY,       -- Drawn anew at every start.
  heartbeat   bigint NOT NULL,
  journal_seq bigint NOT NULL,                      -- Everything up to here was heard.
  seen_at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
