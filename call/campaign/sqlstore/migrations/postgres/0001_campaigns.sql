-- The records are the truth; the other columns repeat what is looked for in them,
-- or are the store's own. Times are nanoseconds since 1970; 0 is none.
-- Text orders byte by byte, whatever language the database speaks.
CREATE TABLE campaigns (
	id      TEXT COLLATE "C" PRIMARY KEY,
	version BIGINT NOT NULL,
	tenant  TEXT COLLATE "C" NOT NULL,
	state   TEXT COLLATE "C" NOT NULL,
	record  TEXT NOT NULL, -- JSON
	tally   TEXT NOT NULL, -- JSON
	free    BIGINT NOT NULL, -- when the next dial may be
	seq     BIGINT NOT NULL -- of the last contact
);

CREATE INDEX campaigns_of_tenant ON campaigns (tenant, id);
CREATE INDEX campaigns_in_state ON campaigns (state, id);

CREATE TABLE campaign_contacts (
	campaign_id TEXT COLLATE "C" NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
	seq         BIGINT NOT NULL,
	version     BIGINT NOT NULL,
	number      TEXT COLLATE "C" NOT NULL,
	zones       TEXT COLLATE "C" NOT NULL,
	state       TEXT COLLATE "C" NOT NULL,
	outcome     TEXT COLLATE "C" NOT NULL,
	due         BIGINT NOT NULL,
	claims      BIGINT NOT NULL,
	owner       TEXT COLLATE "C" NOT NULL,
	until       BIGINT NOT NULL, -- when the claim ends
	record      TEXT NOT NULL, -- JSON, but for version, state and claims
	PRIMARY KEY (campaign_id, seq)
);

CREATE UNIQUE INDEX campaign_numbers ON campaign_contacts (campaign_id, number);
CREATE INDEX campaign_queue ON campaign_contacts (campaign_id, state, zones, due, seq);
