-- Peers that the owner neither serves nor asks.
CREATE TABLE bans (peer TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
