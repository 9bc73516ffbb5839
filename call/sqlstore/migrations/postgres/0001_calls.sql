-- The record is the truth; the other columns repeat what is looked for in it.
-- Times are nanoseconds since 1970, which order as integers in any database.
-- Text orders byte by byte, whatever language the database speaks.
CREATE TABLE calls (
	id               TEXT COLLATE "C" PRIMARY KEY,
	version          BIGINT NOT NULL,
	tenant           TEXT COLLATE "C" NOT NULL,
	idempotency_key  TEXT COLLATE "C", -- NULL: none
	agent_id         TEXT COLLATE "C" NOT NULL,
	direction        TEXT COLLATE "C" NOT NULL,
	provider         TEXT COLLATE "C" NOT NULL,
	provider_call_id TEXT COLLATE "C", -- NULL: not known yet
	state            TEXT COLLATE "C" NOT NULL,
	created_at       BIGINT NOT NULL,
	record           TEXT NOT NULL -- JSON, which the types for it do not keep as it is
);

-- NULLs differ from each other in a unique index.
CREATE UNIQUE INDEX calls_by_key ON calls (tenant, idempotency_key);
CREATE UNIQUE INDEX calls_by_provider ON calls (provider, provider_call_id);

-- Lists: of everything, of a tenant, of what is live.
CREATE INDEX calls_in_order ON calls (created_at, id);
CREATE INDEX calls_of_tenant ON calls (tenant, created_at, id);
CREATE INDEX calls_in_state ON calls (state, created_at, id);

CREATE TABLE events (
	call_id TEXT COLLATE "C" NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
	seq     BIGINT NOT NULL,
	at      BIGINT NOT NULL,
	event   TEXT NOT NULL, -- JSON
	PRIMARY KEY (call_id, seq)
);
