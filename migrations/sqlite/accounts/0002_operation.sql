-- Through whom a member came: the hash of the invite, and who had it made. NULL: the operator, or none was needed.
ALTER TABLE members ADD COLUMN invite BLOB;
ALTER TABLE members ADD COLUMN invited_by BLOB;

CREATE INDEX members_by_inviter ON members (invited_by) WHERE invited_by IS NOT NULL;

-- What may not be found here.
CREATE TABLE blocks (
    kind              TEXT    NOT NULL CHECK (kind IN ('file', 'audio', 'album', 'phrase')),
    -- A file id, the root of an audio, an album key, or words with blanks between.
    value             TEXT    NOT NULL,
    reason            TEXT    NOT NULL,
    created_unix_s    INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

-- What members complained of.
CREATE TABLE reports (
    no                INTEGER PRIMARY KEY AUTOINCREMENT,
    time_unix_s       INTEGER NOT NULL,
    -- NULL: erased since.
    reporter          BLOB,
    file              TEXT,
    peer              BLOB,
    reason            TEXT    NOT NULL,
    details           TEXT    NOT NULL,
    -- NULL: still in the queue.
    closed_unix_s     INTEGER,
    outcome           TEXT
) STRICT;

CREATE INDEX open_reports ON reports (no) WHERE closed_unix_s IS NULL;

-- Texts that the operator changed while the index ran; they win over the settings.
CREATE TABLE texts (
    name              TEXT    PRIMARY KEY,
    text              TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
