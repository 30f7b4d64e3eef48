-- Pages of the clients of one kind, in each order, of all lists and of one: without these, whatever is rare among a million
-- rules is looked for in all of them.

-- Two rules with the same target are the same rule, as before. By kind first, it has the pages by target too.
DROP INDEX rules_by_target;
CREATE UNIQUE INDEX rules_by_target ON rules (kind, target, conditions);
DROP INDEX rules_by_end;
CREATE INDEX rules_by_end ON rules (kind, expires_at_s) WHERE expires_at_s IS NOT NULL;

CREATE INDEX rules_of_list_by_kind ON rules (list, kind);
CREATE INDEX rules_of_list_by_target ON rules (list, kind, target);
CREATE INDEX rules_of_list_by_end ON rules (list, kind, expires_at_s) WHERE expires_at_s IS NOT NULL;
