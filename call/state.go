package call

import "fmt"

// State is where a call is in its life.
//
//	INITIATED ─► CONNECTING ─► CONNECTED ─► ACTIVE
//	    │            │             │           │
//	    └────────────┴──────┬──────┴───────────┘
//	                        ▼
//	                     ENDING ─► COMPLETED, FAILED, BUSY, NO_ANSWER or CANCELED
//
// A call only moves forward. It may skip a state, because reports overtake each
// other, but every end passes through Ending, in which the call is cleaned up.
// The last five are terminal: a call that has reached one of them never leaves
// it. Why a call ended is its [Cause].
type State uint8

const (
	// Initiated: we know what is to happen, and have stored it.
	Initiated State = iota
	// Connecting: the carrier has been asked to place the call, or has been told
	// how to answer it.
	Connecting
	// Connected: somebody picked up, or the media stream is there.
	Connected
	// Active: sound has travelled.
	Active
	// Ending: the end is certain and what was open is being closed.
	Ending
	// Completed: the call was answered and is over.
	Completed
	// Failed: the call did not come about.
	Failed
	// Busy: the line was busy.
	Busy
	// NoAnswer: nobody picked up in time.
	NoAnswer
	// Canceled: we gave up before anybody answered.
	Canceled

	states // how many there are
)

var stateNames = [states]string{
	"initiated", "connecting", "connected", "active", "ending",
	"completed", "failed", "busy", "no_answer", "canceled",
}

// String returns the state in lower case with underscores.
func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Terminal reports whether a call in this state is over and cleaned up.
func (s State) Terminal() bool { return s >= Completed && s < states }

// MarshalText returns the state as String does.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	parsed, err := ParseState(string(b))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// ParseState reads the name of a state, as String returns it.
func ParseState(name string) (State, error) {
	for i, n := range stateNames {
		if n == name {
			return State(i), nil
		}
	}
	return 0, fmt.Errorf("call: unknown state %q", name)
}

// Cause is why a call ended: one stable word.
type Cause string

// The causes of an end.
const (
	CauseNone Cause = "" // the call lives

	// Somebody wanted it.
	HangupRemote Cause = "hangup_remote" // the person on the phone hung up
	HangupLocal  Cause = "hangup_local"  // Service.Hangup
	AgentDone    Cause = "agent_done"    // the agent returned
	Transferred  Cause = "transferred"   // the caller went on to another number
	Drain        Cause = "drain"         // Service.Shutdown did not wait any longer

	// A limit was reached.
	RingTimeout Cause = "ring_timeout"
	MaxDuration Cause = "max_duration"
	Silence     Cause = "silence" // neither side was heard
	// CallerSilence: the caller was not heard, whatever the agent said.
	CallerSilence Cause = "caller_silence"
	// AgentStalled: the agent has not answered the caller.
	AgentStalled Cause = "agent_stalled"
	NoMedia      Cause = "no_media" // answered, and the stream did not come

	// The carrier or the callee did not take the call.
	Unreachable  Cause = "unreachable"   // busy, no answer, failed: the state tells
	DialRejected Cause = "dial_rejected" // the carrier refused to dial
	DialFailed   Cause = "dial_failed"   // the carrier could not be asked
	DialUnknown  Cause = "dial_unknown"  // nobody knows whether it was dialed

	// NotRecorded: the call had to be recorded, and could not be.
	NotRecorded Cause = "not_recorded"

	// Something broke.
	StreamLost  Cause = "stream_lost"
	AgentError  Cause = "agent_error"
	AgentPanic  Cause = "agent_panic"
	Interrupted Cause = "interrupted" // our process ended during the call
)
