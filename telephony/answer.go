package telephony

import "time"

// RejectReason says how to turn a caller away before answering.
type RejectReason uint8

const (
	// RejectNone does not reject.
	RejectNone RejectReason = iota
	// RejectBusy lets the caller hear the busy tone.
	RejectBusy
	// RejectRefused lets the caller hear that the number is not in service.
	RejectRefused
)

// An Answer tells a carrier what to do with a call. Its parts are carried out
// in the order of the fields. The zero Answer does nothing: a carrier ends a
// call that is told nothing and is not in a stream.
type Answer struct {
	// Reject turns the caller away; the other parts do not matter then.
	Reject RejectReason
	// Say is spoken by the carrier in its own voice.
	Say string
	// Language of Say, a BCP 47 tag; empty leaves it to the carrier.
	Language string
	// Keys are pressed towards the person on the line: 0-9 * # and w for a pause
	// of half a second. See CanAnswerKeys.
	Keys string
	// Stream connects the call's audio to a WebSocket, both ways, until the
	// stream ends.
	Stream *StreamAnswer
	// Dial connects the person on the line to another number, until either
	// hangs up.
	Dial *DialAnswer
	// Conference connects the person on the line to all others in it.
	Conference *ConferenceAnswer
	// Next is an address that is asked, with POST, what to do when all before it
	// is done; empty if there is nothing more.
	Next string
	// Hangup ends the call. A call whose Stream has ended is ended without it.
	Hangup bool
}

// StreamAnswer says where a carrier shall send a call's audio.
type StreamAnswer struct {
	// URL is the address of the socket, ws or wss. It carries the token that
	// admits the socket in its path, because carriers drop a query.
	URL string
	// StatusURL is told when the stream starts, stops or fails; may be empty.
	StatusURL string
}

// DialAnswer says whom a carrier shall connect a call to.
type DialAnswer struct {
	To       Number        // valid
	CallerID Number        // what To sees; zero keeps the carrier's default
	Timeout  time.Duration // how long to let it ring, in whole seconds; zero leaves it to the carrier
	// ResultURL is asked, with POST, what to do when the two are not connected
	// any more, or never were: Event.Dialed tells. Empty: the call ends, or goes
	// on with what follows in the Answer.
	ResultURL string
}

// ConferenceAnswer says which conference to join. It begins with the second who
// joins; before that, and without anything else said, the carrier plays music.
type ConferenceAnswer struct {
	// Name tells conferences of an account apart: 1 to 64 of a-z A-Z 0-9 _ -.
	Name string
	// EndOnExit ends it for all when this person leaves.
	EndOnExit bool
}
