-- Who may be here. Small, precious, in every backup.

-- Whoever writes locks this row first. So writers of several programs take turns.
CREATE TABLE turn (
    one               BIGINT  PRIMARY KEY CHECK (one = 1)
);

INSERT INTO turn (one) VALUES (1);

-- As SQLite's function: the elements of a list, numbered from 0. `->>` takes those of an inner list.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (key BIGINT, value JSONB)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 100
    AS 'SELECT e.place - 1, e.value FROM jsonb_array_elements(CAST($1 AS JSONB)) WITH ORDINALITY AS e (value, place)';

CREATE TABLE members (
    no                BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer              BYTEA   NOT NULL UNIQUE CHECK (length(peer) = 32),
    name              TEXT,
    -- Two forms of the name, each unique: what differs only in case, accents or look-alike letters is one name.
    folded            TEXT    COLLATE "C" UNIQUE,
    skeleton          TEXT    COLLATE "C" UNIQUE,
    browsable         BOOLEAN NOT NULL DEFAULT TRUE,
    created_unix_s    BIGINT  NOT NULL,
    last_seen_unix_s  BIGINT  NOT NULL,
    -- Through whom it came: the hash of the invite, and who had it made. NULL: the operator, or none was needed.
    invite            BYTEA,
    invited_by        BYTEA
);

CREATE INDEX members_by_inviter ON members (invited_by) WHERE invited_by IS NOT NULL;

-- The code itself is with whoever was invited.
CREATE TABLE invites (
    code_hash         BYTEA   PRIMARY KEY CHECK (length(code_hash) = 32),
    uses_left         BIGINT  NOT NULL CHECK (uses_left >= 0),
    expires_unix_s    BIGINT  NOT NULL,
    -- NULL: the operator.
    created_by        BYTEA,
    created_unix_s    BIGINT  NOT NULL
);

CREATE TABLE bans (
    -- A peer's key in its text form, or a network as address/bits.
    target            TEXT    COLLATE "C" PRIMARY KEY,
    reason            TEXT    NOT NULL,
    -- NULL: for good.
    until_unix_s      BIGINT,
    created_unix_s    BIGINT  NOT NULL
);

-- What operators did, oldest first.
CREATE TABLE audit (
    no                BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time_unix_s       BIGINT  NOT NULL,
    what              TEXT    NOT NULL
);

-- What may not be found here.
CREATE TABLE blocks (
    kind              TEXT    COLLATE "C" NOT NULL CHECK (kind IN ('file', 'audio', 'album', 'phrase')),
    -- A file id, the root of an audio, an album key, or words with blanks between.
    value             TEXT    COLLATE "C" NOT NULL,
    reason            TEXT    NOT NULL,
    created_unix_s    BIGINT  NOT NULL,
    PRIMARY KEY (kind, value)
);

-- What members complained of.
CREATE TABLE reports (
    no                BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time_unix_s       BIGINT  NOT NULL,
    -- NULL: erased since.
    reporter          BYTEA,
    file              TEXT,
    peer              BYTEA,
    reason            TEXT    NOT NULL,
    details           TEXT    NOT NULL,
    -- NULL: still in the queue.
    closed_unix_s     BIGINT,
    outcome           TEXT
);

CREATE INDEX open_reports ON reports (no) WHERE closed_unix_s IS NULL;

-- Texts that the operator changed while the index ran; they win over the settings.
CREATE TABLE texts (
    name              TEXT    COLLATE "C" PRIMARY KEY,
    text              TEXT    NOT NULL
);
