-- compatible with 6
-- What a sweep deletes is found by its time, not by reading the table.
CREATE INDEX rd_cache_generation_age ON rd_cache_generation (bumped_at_ms);

-- The tenants whose cache was cleared as a whole: what was invalidated before that means nothing.
CREATE INDEX rd_cache_generation_cleared ON rd_cache_generation (tenant) WHERE name = '';

CREATE INDEX rd_api_key_revoked ON rd_api_key (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX rd_api_key_expiry ON rd_api_key (expires_at) WHERE expires_at IS NOT NULL;
