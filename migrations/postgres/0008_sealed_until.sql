-- compatible with 6
-- Until when tokens that are kept nowhere (SESSION_STORAGE=token) may still need the key: wall
-- milliseconds, raised ahead of the tokens that are issued.
ALTER TABLE rd_encryption_key ADD COLUMN sealed_until bigint NOT NULL DEFAULT 0;
