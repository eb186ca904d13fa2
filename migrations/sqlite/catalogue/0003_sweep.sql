-- What nobody holds and nothing names any more is noted here, and deleted when it has stood here for its time.
-- NULL: its owner was erased, and the next sweep need not wait.

CREATE TABLE idle_files (
    file          INTEGER PRIMARY KEY,
    since_unix_s  INTEGER
) STRICT;

CREATE TABLE idle_claims (
    claim         INTEGER PRIMARY KEY,
    since_unix_s  INTEGER
) STRICT;

-- Files that were swept had no later revision than this. A search index that has not seen it may still hold them.
ALTER TABLE catalogue ADD COLUMN swept_revision INTEGER NOT NULL DEFAULT 0;
