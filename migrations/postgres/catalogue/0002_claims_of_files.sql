-- A claim is looked for among those of its file, whose numbers are in its row, and no longer by its hash among all: an
-- index of hashes is in no order that anything is published in, so that each new claim wrote a page of its own.

ALTER TABLE claims DROP CONSTRAINT claims_hash_key;
