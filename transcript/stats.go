package transcript

import "time"

// Stats is what a transcriber of a service has done, for all its calls together.
// It only grows.
type Stats struct {
	// Calls is how many calls were begun.
	Calls int64
	// Connections is how many streams were opened, or requests sent, and
	// Failures how many of them came to nothing, or ended before their time.
	Connections, Failures int64
	// Replayed is how much sound was sent again after a failure.
	Replayed time.Duration
	// Missed is how much sound was given up: what the gaps of transcripts add up
	// to.
	Missed time.Duration
	// Late is how much sound came too late to be sent in its turn.
	Late time.Duration
	// Duplicates is how many results told again what was known, and Ignored how
	// many messages could not be made out.
	Duplicates, Ignored int64
}
