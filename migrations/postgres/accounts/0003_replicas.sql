-- Several programs that serve one index over one database.

-- Whose database this is: the public half of the index's key.
CREATE TABLE owner (
    one               BIGINT  PRIMARY KEY CHECK (one = 1),
    key               BYTEA   NOT NULL CHECK (length(key) = 32)
);

-- The programs that live, or did a moment ago.
CREATE TABLE replicas (
    no                BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url               TEXT    NOT NULL,
    -- By this server's clock.
    lease_until       TIMESTAMPTZ NOT NULL,
    -- The last revision that its search index has on disk.
    indexed_revision  BIGINT  NOT NULL
);

-- Where each member has its place. Members who left stay, so that everybody hears of it.
CREATE TABLE online (
    member            BIGINT  PRIMARY KEY,
    -- NULL: nowhere.
    replica           BIGINT,
    -- When this changed, or what the member shares: versions.version of 'online'.
    change            BIGINT  NOT NULL
);

CREATE INDEX online_by_change ON online (change);

-- How often that was changed which the programs keep in memory.
CREATE TABLE versions (
    what              TEXT    COLLATE "C" PRIMARY KEY,
    version           BIGINT  NOT NULL
);

INSERT INTO versions (what, version) VALUES ('bans', 0), ('blocks', 0), ('members', 0), ('online', 0), ('texts', 0);
