package call

import (
	"math/rand/v2"
	"time"
)

// fault is one way in which a simulated world does not do what one hopes.
type fault uint8

const (
	statusLost fault = iota
	statusLate
	statusDoubled
	statusStrange
	finalsContradict
	carrierMute
	carrierForgets
	carrierDenies
	askedTwice
	ringsLate

	dialNotSent
	dialThrottled
	dialTurnedDown
	dialLost
	dialReplyLost
	dialReplyLate

	hangupFails
	hangupReplyLost
	checkFails
	findFails
	findLags
	findStranger
	replySlow

	streamMissing
	streamSilent
	streamBreaks
	streamTwice
	streamAfterEnd
	legStays

	moveRefused
	moveReplyLost
	moveLost
	moveFails

	agentFails
	agentPanics
	agentStays
	playOutSlow
	lineQuiet

	stepFails
	stepHangs
	stepEchoes
	inboxSlow

	storeSlow
	storeFails
	storeReplyLost
	createFails
	createReplyLost

	crash
	crashMidway
	processPauses
	twin

	faults // how many there are
)

// faultTable names each fault and says how often, in a thousand, a hostile world
// takes the opportunity.
var faultTable = [faults]struct {
	name string
	rate uint16
}{
	statusLost:       {"a status is lost", 150},
	statusLate:       {"a status is late", 200},
	statusDoubled:    {"a status comes more than once", 150},
	statusStrange:    {"a status in a word that is not known", 50},
	finalsContradict: {"two final statuses that contradict each other", 100},
	carrierMute:      {"the carrier reports nothing at all", 60},
	carrierForgets:   {"the carrier forgets a call that is over", 150},
	carrierDenies:    {"the carrier denies a call that stands", 60},
	askedTwice:       {"the carrier asks the same twice", 120},
	ringsLate:        {"the carrier queues the call", 80},

	dialNotSent:    {"the dial does not leave", 80},
	dialThrottled:  {"the dial is throttled", 60},
	dialTurnedDown: {"the dial is refused", 40},
	dialLost:       {"the dial is lost on the way there", 60},
	dialReplyLost:  {"the dial is lost on the way back", 120},
	dialReplyLate:  {"the reply to the dial is late", 150},

	hangupFails:     {"the hang-up fails", 200},
	hangupReplyLost: {"the hang-up works and its reply is lost", 150},
	checkFails:      {"the carrier cannot be asked", 200},
	findFails:       {"the carrier cannot be searched", 150},
	findLags:        {"the search does not show the call yet", 150},
	findStranger:    {"the search shows somebody else's call", 150},
	replySlow:       {"a reply is slow", 150},

	streamMissing:  {"the stream never opens", 100},
	streamSilent:   {"the stream is silent", 80},
	streamBreaks:   {"the stream breaks", 150},
	streamTwice:    {"a second stream comes with the same token", 100},
	streamAfterEnd: {"a stream comes when the call is over", 100},
	legStays:       {"the call stays when its stream is gone", 250},

	moveRefused:   {"the carrier refuses to redirect", 150},
	moveReplyLost: {"the carrier redirects and its reply is lost", 120},
	moveLost:      {"the request to redirect is lost", 100},
	moveFails:     {"nobody else is reached", 300},

	agentFails:  {"the agent fails", 100},
	agentPanics: {"the agent panics", 60},
	agentStays:  {"the agent does not return", 100},
	playOutSlow: {"the last words take long", 100},
	lineQuiet:   {"the line is quiet for too long", 150},

	stepFails:  {"a cleanup step fails", 80},
	stepHangs:  {"a cleanup step hangs until its deadline", 80},
	stepEchoes: {"a cleanup step is reported twice", 80},
	inboxSlow:  {"an input waits in the inbox", 100},

	storeSlow:       {"the store is slow", 100},
	storeFails:      {"the store fails", 150},
	storeReplyLost:  {"the store writes and its reply is lost", 80},
	createFails:     {"the intent is not stored", 30},
	createReplyLost: {"the intent is stored and the reply is lost", 30},

	crash:         {"the process dies", 12},
	crashMidway:   {"the process dies between an effect and the next", 6},
	processPauses: {"the process stands still", 12},
	twin:          {"a second replica takes up the same calls", 80},
}

func (f fault) String() string { return faultTable[f].name }

// mood is how hostile one world is: for each fault, how often in a thousand.
type mood [faults]uint16

// moodOf draws the mood of a world: quiet, mild, hostile, or with one fault only.
func moodOf(rnd *rand.PCG) (m mood) {
	kind, only := rnd.Uint64()%100, fault(rnd.Uint64()%uint64(faults))
	for f := range faults {
		rate := faultTable[f].rate
		switch {
		case kind < 10: // quiet
		case kind < 30:
			m[f] = rate / 4
		case kind < 75:
			m[f] = uint16(rnd.Uint64() % uint64(2*rate))
		case f == only:
			m[f] = min(5*rate, 600)
		}
	}
	return m
}

// dice make the choices of one part of a world. 0 is always the dullest choice,
// so that a tape of choices can be made shorter and duller until only what
// matters is left; see shrink.
type dice struct {
	rnd    rand.PCG
	tape   []uint16 // what was chosen, or what is to be
	replay bool
	at     int  // in the tape, if it is replayed
	record bool // keep what is chosen
}

func newDice(seed, part uint64) dice { return dice{rnd: *rand.NewPCG(seed, part)} }

// roll chooses one of n, at most 1<<16.
func (d *dice) roll(n int) int {
	if d.replay {
		d.at++
		if d.at > len(d.tape) {
			return 0
		}
		return int(d.tape[d.at-1]) % n
	}
	v := int(d.rnd.Uint64()>>32) % n
	if d.record {
		d.tape = append(d.tape, uint16(v))
	}
	return v
}

// odds is true so often in a thousand.
func (d *dice) odds(rate uint16) bool {
	if d.replay {
		return d.roll(2) == 1
	}
	v := uint16(0)
	if rate > 0 && d.rnd.Uint64()>>32%1000 < uint64(rate) {
		v = 1
	}
	if d.record {
		d.tape = append(d.tape, v)
	}
	return v == 1
}

// within chooses a time above 0 and up to most.
func (d *dice) within(most time.Duration) time.Duration {
	return most * time.Duration(1+d.roll(1000)) / 1000
}

// soon is how long a message takes when nothing is wrong.
func (d *dice) soon() time.Duration { return d.within(500 * time.Millisecond) }
