-- What the records of the state directory are that lead to its revision (edge_journal::Mark); NULL where that is not known, as
-- after an earlier version: then the directory is written anew.
ALTER TABLE publication ADD COLUMN taken INTEGER;
ALTER TABLE publication ADD COLUMN digest INTEGER;
