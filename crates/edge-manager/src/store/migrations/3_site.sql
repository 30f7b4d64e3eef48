-- What haproxy.cfg is made of, as operators sent it; whoever reads it parses it anew.

CREATE TABLE global (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- JSON of what was said; what was not has its default.
    settings TEXT NOT NULL
) STRICT;

-- Numbers are never given twice here: clients keep them.
CREATE TABLE backends (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- JSON of what was said beside name and servers.
    settings TEXT NOT NULL,
    -- Whether it came with a domain, and goes with its last one.
    is_implied INTEGER NOT NULL CHECK (is_implied IN (0, 1))
) STRICT;

CREATE TABLE servers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    backend INTEGER NOT NULL REFERENCES backends (id) ON DELETE CASCADE,
    -- Their order means something to HAProxy.
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    port TEXT NOT NULL,
    options TEXT,
    UNIQUE (backend, name)
) STRICT;

CREATE TABLE domains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Canonical: lower case, *. before the names below one.
    domain TEXT NOT NULL UNIQUE,
    backend INTEGER NOT NULL REFERENCES backends (id),
    ssl_enabled INTEGER NOT NULL CHECK (ssl_enabled IN (0, 1)),
    ssl_cert_path TEXT,
    template_override TEXT
) STRICT;

CREATE INDEX domains_by_backend ON domains (backend);
