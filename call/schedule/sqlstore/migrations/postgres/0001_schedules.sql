-- The record is the truth; the other columns repeat what is looked for in it.
-- Times are nanoseconds since 1970. Text orders byte by byte.
CREATE TABLE schedules (
	id      TEXT COLLATE "C" PRIMARY KEY,
	version BIGINT NOT NULL,
	tenant  TEXT COLLATE "C" NOT NULL,
	state   TEXT COLLATE "C" NOT NULL,
	due     BIGINT NOT NULL,
	record  TEXT NOT NULL -- JSON
);

CREATE INDEX schedules_by_due ON schedules (state, due, id);
CREATE INDEX schedules_of_tenant ON schedules (tenant, id);

-- What became of occurrences; seq is the version of the schedule that tells it.
CREATE TABLE schedule_results (
	schedule_id TEXT COLLATE "C" NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
	seq         BIGINT NOT NULL,
	result      TEXT NOT NULL, -- JSON
	PRIMARY KEY (schedule_id, seq)
);
