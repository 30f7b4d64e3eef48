-- How many rules there are, ended ones too: the filter has a cap on them, and to count them is to read them all.
CREATE TABLE rule_counts (
    kind TEXT NOT NULL PRIMARY KEY CHECK (kind IN ('allow', 'block', 'exact', 'prefix')),
    rules INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO rule_counts VALUES ('allow', 0), ('block', 0), ('exact', 0), ('prefix', 0);
UPDATE rule_counts SET rules = (SELECT count(*) FROM rules WHERE rules.kind = rule_counts.kind);

CREATE TRIGGER rule_made AFTER INSERT ON rules BEGIN
    UPDATE rule_counts SET rules = rules + 1 WHERE kind = NEW.kind;
END;

CREATE TRIGGER rule_removed AFTER DELETE ON rules BEGIN
    UPDATE rule_counts SET rules = rules - 1 WHERE kind = OLD.kind;
END;

-- How many lessons of a host hold and how many are over, without a look at the lessons. Pages go by id, as before.
DROP INDEX lessons_by_host;
CREATE INDEX lessons_by_host ON lessons (host, over_at_us);
