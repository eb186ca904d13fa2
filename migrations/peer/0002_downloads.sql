-- What this peer downloads and downloaded. Both texts are JSON: only the program reads them, and only whole.
CREATE TABLE downloads (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL,
    status  TEXT NOT NULL,
    -- The state within `status`, for tidying up.
    state   TEXT NOT NULL
) STRICT;
