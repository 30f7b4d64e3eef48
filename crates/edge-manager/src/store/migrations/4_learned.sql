-- What backends have taught: one row for each target, of the lesson with the last stamp.
CREATE TABLE lessons (
    -- Never given twice: clients keep it. A later lesson about the same target keeps the number.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- As those of rules.
    kind TEXT NOT NULL CHECK (kind IN ('allow', 'block', 'exact', 'prefix')),
    target TEXT NOT NULL,
    conditions TEXT NOT NULL,
    -- Of a resource; empty for none, and for a client.
    host TEXT NOT NULL,
    verdict INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    reason TEXT NOT NULL,
    -- The stamp, microseconds since the Unix epoch.
    learned_at_us INTEGER NOT NULL,
    backend TEXT NOT NULL,
    server TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    request TEXT NOT NULL,
    -- NULL while it holds; else the stamp at which it was taken back, and by whom. The row stays until its end: it keeps an
    -- older lesson that turns up from coming back.
    over_at_us INTEGER,
    over_by TEXT,
    -- Whether the manager's files in the state directory speak of it: it was taken back here, or no worker's file has it.
    published INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX lessons_by_target ON lessons (target, kind, conditions);
-- Pages go by id, which each of these ends with.
CREATE INDEX lessons_by_host ON lessons (host);
CREATE INDEX lessons_by_backend ON lessons (backend);
CREATE INDEX lessons_by_end ON lessons (expires_at_s);
CREATE INDEX lessons_published ON lessons (id) WHERE published = 1;
