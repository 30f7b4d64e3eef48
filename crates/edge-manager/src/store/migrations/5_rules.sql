-- Pages of rules with one action, which go by id.
CREATE INDEX rules_by_verdict ON rules (verdict);
