-- Peers that the owner neither serves nor asks.
CREATE TABLE bans (peer TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- What was set by command and holds over restarts.
CREATE TABLE remembered (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
