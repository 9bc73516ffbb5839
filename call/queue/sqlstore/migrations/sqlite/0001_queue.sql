-- Times are microseconds since 1970, durations microseconds.
CREATE TABLE queue_places (
	ticket     INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT NOT NULL UNIQUE,
	queue      TEXT NOT NULL,
	call_id    TEXT NOT NULL,
	owner      TEXT NOT NULL, -- empty: a callback that nobody has in hand
	agent      TEXT NOT NULL, -- empty: it waits
	claim      TEXT NOT NULL,
	joined     INTEGER NOT NULL,
	head_start INTEGER NOT NULL,
	ready      INTEGER NOT NULL,
	callback   TEXT NOT NULL -- JSON; empty: the caller is on the line
) STRICT;

CREATE INDEX queue_places_waiting ON queue_places (queue, (joined - head_start), ticket) WHERE agent = '';
CREATE INDEX queue_places_claimed ON queue_places (claim) WHERE claim <> '';
CREATE INDEX queue_places_of_agent ON queue_places (agent) WHERE agent <> '';
CREATE INDEX queue_places_of_owner ON queue_places (owner);

-- Turn says which agent was given none for longest. What was not said is NULL.
CREATE TABLE queue_agents (
	name     TEXT PRIMARY KEY,
	busy     INTEGER,
	capacity INTEGER,
	turn     INTEGER NOT NULL
) STRICT;

CREATE TABLE queue_owners (
	name  TEXT PRIMARY KEY,
	until INTEGER NOT NULL
) STRICT;
