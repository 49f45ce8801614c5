-- What was invalidated in a tenant's cache, and when in the order of its invalidations. `name` is ''
-- for everything, else a letter and what it says: t a tag, p a key prefix, k a key, g a glob.
-- A tenant's newest row is never deleted, so its generations never repeat.
CREATE TABLE rd_cache_generation (
  tenant       text   COLLATE "C" NOT NULL,
  name         text   COLLATE "C" NOT NULL,
  generation   bigint NOT NULL,
  bumped_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant, name)
);

CREATE INDEX rd_cache_generation_order ON rd_cache_generation (tenant, generation);

ALTER TABLE rd_cache_generation ENABLE ROW LEVEL SECURITY;
ALTER TABLE rd_cache_generation FORCE ROW LEVEL SECURITY;
CREATE POLICY rd_of_tenant ON rd_cache_generation
  USING (tenant = current_setting('redoubt.tenant', true)
         OR current_setting('redoubt.tenant', true) = '*');
