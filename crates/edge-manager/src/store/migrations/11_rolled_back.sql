-- What each configuration that is kept was made from, as JSON: whoever goes back to one gets that back too.
CREATE TABLE site_versions (
    config_version INTEGER PRIMARY KEY,
    site TEXT NOT NULL
) STRICT;

-- The configuration that somebody went back to, until another one is published.
CREATE TABLE rolled_back (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    config_version INTEGER NOT NULL
) STRICT;
