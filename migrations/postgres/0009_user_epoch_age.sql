-- An epoch is the wall milliseconds of the last "log out everywhere" (or one more than the epoch before,
-- when the clock was behind it). Old ones are found by it and deleted: no token is older.
CREATE INDEX rd_user_epoch_age ON rd_user_epoch (epoch);
