-- compatible with 6
-- The last batch that each connection has committed, so that one that was lost during a COMMIT can be
-- asked about on another (record/postgres_outcome.hpp). Old rows are of instances that have gone.
CREATE TABLE rd_lane (
  id    text   COLLATE "C" PRIMARY KEY,  -- The instance and the connection's number.
  batch bigint NOT NULL,
  at    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
