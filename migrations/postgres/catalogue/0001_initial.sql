-- Who shares what. Rebuildable: peers publish again what is lost.

-- Whoever writes locks this row first. So writers of several programs take turns, and revisions and numbers appear in
-- the order in which they are given.
CREATE TABLE turn (
    one          BIGINT  PRIMARY KEY CHECK (one = 1)
);

INSERT INTO turn (one) VALUES (1);

-- As SQLite's function: the elements of a list, numbered from 0. `->>` takes those of an inner list.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (key BIGINT, value JSONB)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 100
    AS 'SELECT e.place - 1, e.value FROM jsonb_array_elements(CAST($1 AS JSONB)) WITH ORDINALITY AS e (value, place)';

-- As SQLite's function.
CREATE FUNCTION unhex(digits TEXT) RETURNS BYTEA
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT decode($1, ''hex'')';

-- One row: which catalogue this is, the counter of changes, and totals that would be slow to count.
CREATE TABLE catalogue (
    one             BIGINT  PRIMARY KEY CHECK (one = 1),
    -- A catalogue that was begun anew has another; what was derived from the old one is void.
    identity        BYTEA   NOT NULL,
    revision        BIGINT  NOT NULL,
    files           BIGINT  NOT NULL,
    holdings        BIGINT  NOT NULL,
    -- Files that were swept had no later revision than this. A search index that has not seen it may still hold them.
    swept_revision  BIGINT  NOT NULL
);

INSERT INTO catalogue (one, identity, revision, files, holdings, swept_revision)
    VALUES (1, decode(replace(CAST(gen_random_uuid() AS TEXT), '-', ''), 'hex'), 0, 0, 0, 0);

-- One row for each distinct file that was ever shared; it keeps its number when its last holder leaves.
CREATE TABLE files (
    no           BIGINT  PRIMARY KEY,
    root         BYTEA   NOT NULL CHECK (length(root) = 32),
    length       BIGINT  NOT NULL CHECK (length > 0),
    -- Distinct members that hold it.
    holders      BIGINT  NOT NULL,
    -- The number of the last change that others can see; 0 before the first.
    revision     BIGINT  NOT NULL,
    -- The claim that is shown, unless `composed` has one that no single holder made.
    claim        BIGINT  NOT NULL,
    composed     TEXT,
    -- The variants in the running, as JSON: [[claim, voters], …].
    ballot       TEXT    NOT NULL,
    UNIQUE (root, length)
);

CREATE INDEX files_by_revision ON files (revision) WHERE revision > 0;

CREATE TABLE claims (
    no           BIGINT  PRIMARY KEY,
    hash         BYTEA   NOT NULL UNIQUE CHECK (length(hash) = 32),
    json         TEXT    NOT NULL
);

-- Members that have published here. The key is repeated, so that a number that now means another is noticed.
CREATE TABLE owners (
    member       BIGINT  PRIMARY KEY,
    peer         BYTEA   NOT NULL CHECK (length(peer) = 32),
    -- The keyed hash of the network it votes from.
    voter        BIGINT  NOT NULL
);

-- What is being published anew (`staged`) lies beside the collection that it will replace.
CREATE TABLE collections (
    no           BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member       BIGINT  NOT NULL,
    name         TEXT    COLLATE "C" NOT NULL,
    staged       BOOLEAN NOT NULL,
    generation   BIGINT  NOT NULL,
    digest       BYTEA   NOT NULL CHECK (length(digest) = 32),
    count        BIGINT  NOT NULL,
    bytes        BIGINT  NOT NULL,
    claim_bytes  BIGINT  NOT NULL,
    folders      BIGINT  NOT NULL,
    -- A hash of the last change set, to know it when it is repeated.
    last_set     BYTEA   NOT NULL,
    -- The owner's last signed head, as JSON.
    head         TEXT,
    UNIQUE (member, name, staged)
);

CREATE TABLE folders (
    collection   BIGINT  NOT NULL,
    number       BIGINT  NOT NULL,
    path         TEXT    COLLATE "C" NOT NULL,
    -- Files directly inside.
    files        BIGINT  NOT NULL CHECK (files >= 0),
    PRIMARY KEY (collection, number)
);

CREATE INDEX folders_by_path ON folders (collection, path);

CREATE TABLE holdings (
    collection   BIGINT  NOT NULL,
    file         BIGINT  NOT NULL,
    claim        BIGINT  NOT NULL,
    folder       BIGINT  NOT NULL,
    PRIMARY KEY (collection, file)
);

CREATE INDEX holdings_by_folder ON holdings (collection, folder);

-- What each network says of each file. Not an index of holders: networks are known by a keyed hash only.
CREATE TABLE votes (
    file         BIGINT  NOT NULL,
    voter        BIGINT  NOT NULL,
    claim        BIGINT  NOT NULL,
    -- Holdings of that network; the vote ends with the last.
    holdings     BIGINT  NOT NULL,
    PRIMARY KEY (file, voter)
);

-- What nobody holds and nothing names any more is noted here, and deleted when it has stood here for its time.
-- NULL: its owner was erased, and the next sweep need not wait.

CREATE TABLE idle_files (
    file          BIGINT PRIMARY KEY,
    since_unix_s  BIGINT
);

CREATE TABLE idle_claims (
    claim         BIGINT PRIMARY KEY,
    since_unix_s  BIGINT
);
