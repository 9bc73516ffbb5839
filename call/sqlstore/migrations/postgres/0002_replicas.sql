-- Who has a call, and with whose record an event was written; '' where a service
-- is alone.
ALTER TABLE calls ADD COLUMN owner TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Written is the transaction that wrote an event: who knows which transactions
-- were done at its last look can tell what is new, whatever their order.
ALTER TABLE events
	ADD COLUMN owner TEXT COLLATE "C" NOT NULL DEFAULT '',
	ADD COLUMN written xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX events_as_written ON events (written, call_id, seq);

CREATE TABLE replicas (
	name    TEXT COLLATE "C" PRIMARY KEY,
	expires BIGINT NOT NULL -- microseconds since 1970, by this database's clock
);
