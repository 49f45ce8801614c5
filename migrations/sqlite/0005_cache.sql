-- What was invalidated in a tenant's cache, and when in the order of its invalidations. `name` is ''
-- for everything, else a letter and what it says: t a tag, p a key prefix, k a key, g a glob.
-- A tenant's newest row is never deleted, so its generations never repeat.
CREATE TABLE rd_cache_generation (
  tenant       TEXT    NOT NULL,
  name         TEXT    NOT NULL,
  generation   INTEGER NOT NULL,
  bumped_at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE INDEX rd_cache_generation_order ON rd_cache_generation (tenant, generation);
