-- What a peer shares: the facts that scans find out, and the ledger of what is published.
--
-- Facts change as files come and go. Every change of a fact notes the content that it concerns in `touched`
-- (by trigger, so that nobody can forget), and the ledger is brought up to date from there.
--
-- Paths and names are bytes: file systems do not promise text.

-- Numbers are not used again: a file that is read may outlive its row by a moment.

CREATE TABLE shares (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    alias        TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    path         BLOB    NOT NULL UNIQUE,
    collection   TEXT    NOT NULL,
    -- The folder itself when its files were last seen, to tell a disk that is not mounted from an emptied folder.
    root_dev     INTEGER,
    root_inode   INTEGER,
    absent_since INTEGER
) STRICT;

CREATE TABLE directories (
    id    INTEGER PRIMARY KEY,
    share INTEGER NOT NULL REFERENCES shares (id) ON DELETE CASCADE,
    path  BLOB    NOT NULL,
    UNIQUE (share, path)
) STRICT;

-- One row for each distinct file, however many copies there are.
CREATE TABLE contents (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    root         BLOB    NOT NULL,
    length       INTEGER NOT NULL,
    audio_root   BLOB,
    audio_offset INTEGER,
    audio_length INTEGER,
    UNIQUE (root, length)
) STRICT;

CREATE INDEX contents_by_audio ON contents (audio_root) WHERE audio_root IS NOT NULL;

-- The hashes of the leaves, 0.2 % of the file: an upload answers with them without reading the file again.
CREATE TABLE trees (
    content INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
    leaves  BLOB NOT NULL
) STRICT;

-- One row for each path. Rows of files that vanished are kept for a while: what comes back is not hashed again.
CREATE TABLE files (
    id         INTEGER PRIMARY KEY,
    directory  INTEGER NOT NULL REFERENCES directories (id) ON DELETE CASCADE,
    name       BLOB    NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    content    INTEGER NOT NULL REFERENCES contents (id),
    claim      TEXT    NOT NULL,
    claim_hash BLOB    NOT NULL,
    -- Which version of the program described the file; an older description is made anew.
    describer  INTEGER NOT NULL,
    gone_since INTEGER,
    UNIQUE (directory, name)
) STRICT;

CREATE INDEX files_by_content ON files (content);
CREATE INDEX files_by_identity ON files (size, mtime_ns, inode);

-- Not INSERT OR IGNORE: within a trigger the conflict clause of the outer statement would overrule it.
CREATE TABLE touched (content INTEGER PRIMARY KEY) STRICT;

CREATE TRIGGER file_appeared AFTER INSERT ON files BEGIN
    INSERT INTO touched SELECT new.content WHERE new.content NOT IN (SELECT content FROM touched);
END;

CREATE TRIGGER file_changed AFTER UPDATE OF directory, content, claim_hash, gone_since ON files BEGIN
    INSERT INTO touched SELECT old.content WHERE old.content NOT IN (SELECT content FROM touched);
    INSERT INTO touched SELECT new.content WHERE new.content NOT IN (SELECT content FROM touched);
END;

CREATE TRIGGER file_forgotten AFTER DELETE ON files BEGIN
    INSERT INTO touched SELECT old.content WHERE old.content NOT IN (SELECT content FROM touched);
END;

CREATE TRIGGER share_came_or_went AFTER UPDATE OF absent_since ON shares BEGIN
    INSERT INTO touched
    SELECT DISTINCT files.content FROM files JOIN directories ON directories.id = files.directory
    WHERE directories.share = new.id AND files.gone_since IS NULL AND files.content NOT IN (SELECT content FROM touched);
END;

-- The ledger. Every change of a collection takes the next number of its generation and leaves it on one row.

CREATE TABLE collections (
    name       TEXT    PRIMARY KEY,
    generation INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    count      INTEGER NOT NULL
) STRICT;

CREATE TABLE published_folders (
    number     INTEGER PRIMARY KEY,
    collection TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    gone       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (collection, path)
) STRICT;

CREATE INDEX published_folders_by_generation ON published_folders (collection, generation);

CREATE TABLE holdings (
    collection TEXT    NOT NULL,
    root       BLOB    NOT NULL,
    length     INTEGER NOT NULL,
    folder     INTEGER NOT NULL REFERENCES published_folders (number),
    claim_hash BLOB    NOT NULL,
    -- The row of `files` whose claim it is.
    file       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    gone       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, root, length)
) STRICT;

CREATE INDEX holdings_by_generation ON holdings (collection, generation);
CREATE INDEX holdings_by_folder ON holdings (folder) WHERE gone = 0;
CREATE INDEX holdings_by_file ON holdings (file) WHERE gone = 0;
CREATE INDEX holdings_by_content ON holdings (root, length);
