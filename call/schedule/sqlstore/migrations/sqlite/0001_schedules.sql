-- The record is the truth; the other columns repeat what is looked for in it.
-- Times are nanoseconds since 1970.
CREATE TABLE schedules (
	id      TEXT PRIMARY KEY,
	version INTEGER NOT NULL,
	tenant  TEXT NOT NULL,
	state   TEXT NOT NULL,
	due     INTEGER NOT NULL,
	record  TEXT NOT NULL -- JSON
) STRICT;

CREATE INDEX schedules_by_due ON schedules (state, due, id);
CREATE INDEX schedules_of_tenant ON schedules (tenant, id);

-- What became of occurrences; seq is the version of the schedule that tells it.
CREATE TABLE schedule_results (
	schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
	seq         INTEGER NOT NULL,
	result      TEXT NOT NULL, -- JSON
	PRIMARY KEY (schedule_id, seq)
) STRICT, WITHOUT ROWID;
