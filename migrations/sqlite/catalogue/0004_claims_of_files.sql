-- A claim is looked for among those of its file, whose numbers are in its row, and no longer by its hash among all: an
-- index of hashes is in no order that anything is published in, so that each new claim wrote a page of its own.

CREATE TABLE new_claims (
    no           INTEGER PRIMARY KEY,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    json         TEXT    NOT NULL
) STRICT;

INSERT INTO new_claims (no, hash, json) SELECT no, hash, json FROM claims ORDER BY no;

DROP TABLE claims;

ALTER TABLE new_claims RENAME TO claims;
