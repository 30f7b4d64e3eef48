-- Keys of the API, and who changed what.

CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('read', 'operator', 'admin')),
    -- SHA-256 of the key, which itself is kept nowhere.
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at_s INTEGER NOT NULL
) STRICT;

-- One row for each change, in the transaction of the change. The oldest give way: see store/audit.rs.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Microseconds since the Unix epoch.
    at_us INTEGER NOT NULL,
    -- The name of the key, and what it was good for.
    caller TEXT NOT NULL,
    role TEXT NOT NULL,
    -- The client's address; NULL for the command line.
    caller_address TEXT,
    -- As rules.put, rules.remove, key.add.
    operation TEXT NOT NULL,
    target TEXT NOT NULL,
    -- done; else what went wrong.
    result TEXT NOT NULL,
    -- Until this row was written.
    duration_us INTEGER NOT NULL
) STRICT;
