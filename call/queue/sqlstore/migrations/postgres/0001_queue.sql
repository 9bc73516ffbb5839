-- Times are microseconds since 1970, durations microseconds.
CREATE TABLE queue_places (
	ticket     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id         TEXT COLLATE "C" NOT NULL UNIQUE,
	queue      TEXT COLLATE "C" NOT NULL,
	call_id    TEXT COLLATE "C" NOT NULL,
	owner      TEXT COLLATE "C" NOT NULL, -- empty: a callback that nobody has in hand
	agent      TEXT COLLATE "C" NOT NULL, -- empty: it waits
	claim      TEXT COLLATE "C" NOT NULL,
	joined     BIGINT NOT NULL,
	head_start BIGINT NOT NULL,
	ready      BIGINT NOT NULL,
	callback   TEXT NOT NULL -- JSON; empty: the caller is on the line
);

CREATE INDEX queue_places_waiting ON queue_places (queue, (joined - head_start), ticket) WHERE agent = '';
CREATE INDEX queue_places_claimed ON queue_places (claim) WHERE claim <> '';
CREATE INDEX queue_places_of_agent ON queue_places (agent) WHERE agent <> '';
CREATE INDEX queue_places_of_owner ON queue_places (owner);

-- Turn says which agent was given none for longest. What was not said is NULL.
CREATE TABLE queue_agents (
	name     TEXT COLLATE "C" PRIMARY KEY,
	busy     BOOLEAN,
	capacity BIGINT,
	turn     BIGINT NOT NULL
);

CREATE TABLE queue_owners (
	name  TEXT COLLATE "C" PRIMARY KEY,
	until BIGINT NOT NULL
);
