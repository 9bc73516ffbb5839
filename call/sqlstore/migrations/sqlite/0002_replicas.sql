-- Who has a call, and with whose record an event was written; '' where a service
-- is alone.
ALTER TABLE calls ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- Written is the number of the write that wrote an event. Writes are one after
-- the other, and so are their numbers, which no other write ever gets again.
ALTER TABLE events ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_as_written ON events (written);
CREATE TABLE writes (n INTEGER NOT NULL) STRICT;
INSERT INTO writes (n) VALUES (0);

CREATE TABLE replicas (
	name    TEXT PRIMARY KEY,
	expires INTEGER NOT NULL -- microseconds since 1970
) STRICT;
