-- Who may be here. Small, precious, in every backup.

CREATE TABLE members (
    no                INTEGER PRIMARY KEY AUTOINCREMENT,
    peer              BLOB    NOT NULL UNIQUE CHECK (length(peer) = 32),
    name              TEXT,
    -- Two forms of the name, each unique: what differs only in case, accents or look-alike letters is one name.
    folded            TEXT    UNIQUE,
    skeleton          TEXT    UNIQUE,
    browsable         INTEGER NOT NULL DEFAULT 1 CHECK (browsable IN (0, 1)),
    created_unix_s    INTEGER NOT NULL,
    last_seen_unix_s  INTEGER NOT NULL
) STRICT;

-- The code itself is with whoever was invited.
CREATE TABLE invites (
    code_hash         BLOB    PRIMARY KEY CHECK (length(code_hash) = 32),
    uses_left         INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_unix_s    INTEGER NOT NULL,
    -- NULL: the operator.
    created_by        BLOB,
    created_unix_s    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bans (
    -- A peer's key in its text form, or a network as address/bits.
    target            TEXT    PRIMARY KEY,
    reason            TEXT    NOT NULL,
    -- NULL: for good.
    until_unix_s      INTEGER,
    created_unix_s    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What operators did, oldest first.
CREATE TABLE audit (
    no                INTEGER PRIMARY KEY,
    time_unix_s       INTEGER NOT NULL,
    what              TEXT    NOT NULL
) STRICT;
