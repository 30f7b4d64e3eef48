-- The network of the client whose request caused it, as a CIDR; NULL where that is not known.
ALTER TABLE lessons ADD COLUMN client_network TEXT;
