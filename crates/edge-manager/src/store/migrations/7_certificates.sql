-- Certificates, and the orders of those that are being got. Times are seconds since the Unix epoch. Keys are in files.

CREATE TABLE certificates (
    -- The first of its names, canonical: its files are called by it.
    name TEXT PRIMARY KEY,
    -- All of them, apart by spaces.
    names TEXT NOT NULL,
    -- The kinds of its keys.
    keys TEXT NOT NULL CHECK (keys IN ('ecdsa', 'rsa', 'both')),
    -- How control of the names is proven; NULL of one that an operator brought, which nobody here can renew.
    proof TEXT CHECK (proof IN ('http-01', 'dns-01', 'manual')),
    expires_at_s INTEGER NOT NULL,
    renew_at_s INTEGER,
    -- Renewals that failed one after the other, when the next one may be tried, and why the last one failed.
    failures INTEGER NOT NULL,
    retry_at_s INTEGER,
    problem TEXT,
    -- Days before its end that were warned of last.
    warned_days INTEGER
) STRICT;

-- What is written here is done: who goes on, after an error that passes or after a kill, goes on from there.
CREATE TABLE certificate_orders (
    certificate TEXT NOT NULL,
    key TEXT NOT NULL CHECK (key IN ('ecdsa', 'rsa')),
    names TEXT NOT NULL,
    -- How control of the names is proven; NULL of one that an operator brought, which begins as issued.
    proof TEXT CHECK (proof IN ('http-01', 'dns-01', 'manual')),
    begun_at_s INTEGER NOT NULL,
    step TEXT NOT NULL CHECK (step IN ('begun', 'ordered', 'issued', 'installed')),
    -- Where the server keeps it; NULL before it does.
    url TEXT,
    -- Tries that failed one after the other, and when the next one may be.
    failures INTEGER NOT NULL,
    retry_at_s INTEGER,
    PRIMARY KEY (certificate, key)
) STRICT;
