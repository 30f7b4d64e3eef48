-- The record of rules. Times are seconds since the Unix epoch.

-- The letters Edge: what tells this file from the databases of other programs.
PRAGMA application_id = 1164207973;

CREATE TABLE lists (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE rules (
    -- Never given twice: clients keep it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- How the target is matched. Resources of both kinds may have the same text: a path may end with /*.
    kind TEXT NOT NULL CHECK (kind IN ('allow', 'block', 'exact', 'prefix')),
    -- Canonical: an address or CIDR; [host]/path; [host]/path/* of a prefix.
    target TEXT NOT NULL,
    -- As edge-filter prints them, without the first space; empty for none.
    conditions TEXT NOT NULL,
    -- The number that haproxy.cfg tests: 1 observe, 2 tarpit, 3 drop, 400 to 599 answer with this status.
    verdict INTEGER NOT NULL,
    -- NULL for no end. A rule that has ended counts as absent, and is kept until it is cleared or replaced.
    expires_at_s INTEGER,
    list INTEGER NOT NULL REFERENCES lists (id),
    reason TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;

-- Two rules with the same target are the same rule, here as in the filter.
CREATE UNIQUE INDEX rules_by_target ON rules (target, kind, conditions);
-- Pages go by id, which each of these ends with.
CREATE INDEX rules_by_kind ON rules (kind);
CREATE INDEX rules_by_list ON rules (list);
CREATE INDEX rules_by_end ON rules (expires_at_s) WHERE expires_at_s IS NOT NULL;

-- The revision of the state directory that has all these rules. Where the directory is at another one, it is the
-- directory that is wrong.
CREATE TABLE publication (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
