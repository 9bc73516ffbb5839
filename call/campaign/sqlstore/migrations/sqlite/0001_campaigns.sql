-- The records are the truth; the other columns repeat what is looked for in them,
-- or are the store's own. Times are nanoseconds since 1970; 0 is none.
CREATE TABLE campaigns (
	id      TEXT PRIMARY KEY,
	version INTEGER NOT NULL,
	tenant  TEXT NOT NULL,
	state   TEXT NOT NULL,
	record  TEXT NOT NULL, -- JSON
	tally   TEXT NOT NULL, -- JSON
	free    INTEGER NOT NULL, -- when the next dial may be
	seq     INTEGER NOT NULL -- of the last contact
) STRICT;

CREATE INDEX campaigns_of_tenant ON campaigns (tenant, id);
CREATE INDEX campaigns_in_state ON campaigns (state, id);

CREATE TABLE campaign_contacts (
	campaign_id TEXT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
	seq         INTEGER NOT NULL,
	version     INTEGER NOT NULL,
	number      TEXT NOT NULL,
	zones       TEXT NOT NULL,
	state       TEXT NOT NULL,
	outcome     TEXT NOT NULL,
	due         INTEGER NOT NULL,
	claims      INTEGER NOT NULL,
	owner       TEXT NOT NULL,
	until       INTEGER NOT NULL, -- when the claim ends
	record      TEXT NOT NULL, -- JSON, but for version, state and claims
	PRIMARY KEY (campaign_id, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX campaign_numbers ON campaign_contacts (campaign_id, number);
CREATE INDEX campaign_queue ON campaign_contacts (campaign_id, state, zones, due, seq);
