-- The record is the truth; the other columns repeat what is looked for in it.
-- Times are nanoseconds since 1970, which order as integers in any database.
CREATE TABLE calls (
	id               TEXT PRIMARY KEY,
	version          INTEGER NOT NULL,
	tenant           TEXT NOT NULL,
	idempotency_key  TEXT, -- NULL: none
	agent_id         TEXT NOT NULL,
	direction        TEXT NOT NULL,
	provider         TEXT NOT NULL,
	provider_call_id TEXT, -- NULL: not known yet
	state            TEXT NOT NULL,
	created_at       INTEGER NOT NULL,
	record           TEXT NOT NULL -- JSON
) STRICT;

-- NULLs differ from each other in a unique index.
CREATE UNIQUE INDEX calls_by_key ON calls (tenant, idempotency_key);
CREATE UNIQUE INDEX calls_by_provider ON calls (provider, provider_call_id);

-- Lists: of everything, of a tenant, of what is live.
CREATE INDEX calls_in_order ON calls (created_at, id);
CREATE INDEX calls_of_tenant ON calls (tenant, created_at, id);
CREATE INDEX calls_in_state ON calls (state, created_at, id);

CREATE TABLE events (
	call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
	seq     INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	event   TEXT NOT NULL, -- JSON
	PRIMARY KEY (call_id, seq)
) STRICT, WITHOUT ROWID;
