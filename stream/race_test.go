//go:build race

package stream

// raceEnabled tells that the race detector is at work, which allocates.
const raceEnabled = true
