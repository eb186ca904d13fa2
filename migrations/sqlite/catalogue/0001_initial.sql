-- Who shares what. Rebuildable: peers publish again what is lost.

-- One row: which catalogue this is, the counter of changes, and totals that would be slow to count.
CREATE TABLE catalogue (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    -- A catalogue that was begun anew has another; what was derived from the old one is void.
    identity     BLOB    NOT NULL,
    revision     INTEGER NOT NULL,
    files        INTEGER NOT NULL,
    holdings     INTEGER NOT NULL
) STRICT;

INSERT INTO catalogue (one, identity, revision, files, holdings) VALUES (1, randomblob(16), 0, 0, 0);

-- One row for each distinct file that was ever shared; it keeps its number when its last holder leaves.
CREATE TABLE files (
    no           INTEGER PRIMARY KEY,
    root         BLOB    NOT NULL CHECK (length(root) = 32),
    length       INTEGER NOT NULL CHECK (length > 0),
    -- Distinct members that hold it.
    holders      INTEGER NOT NULL,
    -- The number of the last change that others can see; 0 before the first.
    revision     INTEGER NOT NULL,
    -- The claim that is shown, unless `composed` has one that no single holder made.
    claim        INTEGER NOT NULL,
    composed     TEXT,
    -- The variants in the running, as JSON: [[claim, voters], …].
    ballot       TEXT    NOT NULL,
    UNIQUE (root, length)
) STRICT;

CREATE INDEX files_by_revision ON files (revision) WHERE revision > 0;

CREATE TABLE claims (
    no           INTEGER PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    json         TEXT    NOT NULL
) STRICT;

-- Members that have published here. The key is repeated, so that a number that now means another is noticed.
CREATE TABLE owners (
    member       INTEGER PRIMARY KEY,
    peer         BLOB    NOT NULL CHECK (length(peer) = 32),
    -- The keyed hash of the network it votes from.
    voter        INTEGER NOT NULL
) STRICT;

-- What is being published anew (`staged`) lies beside the collection that it will replace.
CREATE TABLE collections (
    no           INTEGER PRIMARY KEY,
    member       INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    staged       INTEGER NOT NULL CHECK (staged IN (0, 1)),
    generation   INTEGER NOT NULL,
    digest       BLOB    NOT NULL CHECK (length(digest) = 32),
    count        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    claim_bytes  INTEGER NOT NULL,
    folders      INTEGER NOT NULL,
    -- A hash of the last change set, to know it when it is repeated.
    last_set     BLOB    NOT NULL,
    -- The owner's last signed head, as JSON.
    head         TEXT,
    UNIQUE (member, name, staged)
) STRICT;

CREATE TABLE folders (
    collection   INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    path         TEXT    NOT NULL,
    -- Files directly inside.
    files        INTEGER NOT NULL CHECK (files >= 0),
    PRIMARY KEY (collection, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX folders_by_path ON folders (collection, path);

CREATE TABLE holdings (
    collection   INTEGER NOT NULL,
    file         INTEGER NOT NULL,
    claim        INTEGER NOT NULL,
    folder       INTEGER NOT NULL,
    PRIMARY KEY (collection, file)
) STRICT, WITHOUT ROWID;

CREATE INDEX holdings_by_folder ON holdings (collection, folder);

-- What each network says of each file. Not an index of holders: networks are known by a keyed hash only.
CREATE TABLE votes (
    file         INTEGER NOT NULL,
    voter        INTEGER NOT NULL,
    claim        INTEGER NOT NULL,
    -- Holdings of that network; the vote ends with the last.
    holdings     INTEGER NOT NULL,
    PRIMARY KEY (file, voter)
) STRICT, WITHOUT ROWID;
