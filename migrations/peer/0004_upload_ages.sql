-- How long peers have waited for an upload slot, so that a restart costs nobody its place. Next first.
CREATE TABLE upload_ages (
    position     INTEGER PRIMARY KEY,
    peer         BLOB    NOT NULL UNIQUE,
    since_unix_s INTEGER NOT NULL,
    -- See `KeptAge::rounds`.
    rounds       INTEGER NOT NULL,
    noted_unix_s INTEGER NOT NULL
) STRICT;
