package telephony

import "time"

// DialRequest is what a carrier needs to place one call. The URLs lead to the
// service that asked for the call and contain its own id for it, so that a
// webhook that overtakes the reply to the dial finds its call.
type DialRequest struct {
	To   Number // valid
	From Number // valid, or what the carrier accepts as a caller id

	// AnswerURL is asked what to do once the callee has answered.
	AnswerURL string
	// StatusURL is told of each step: ringing, answered, ended.
	StatusURL string

	// RingTimeout is how long to let it ring, in whole seconds. Zero leaves it
	// to the carrier.
	RingTimeout time.Duration
	// MaxDuration is when the carrier shall end the call by itself, in whole
	// seconds. It stands behind the service's own timer, for the case that the
	// service is not there any more. Zero leaves it to the carrier.
	MaxDuration time.Duration
	// SendDigits are keys to press after the answer, say to reach an extension:
	// 0-9 * # and w for a pause of half a second.
	SendDigits string
	// MachineDetection asks the carrier to tell a person from a machine, without
	// holding up the call. The answer comes to MachineURL.
	MachineDetection bool
	MachineURL       string
	// DetectBeep asks for the end of a machine's greeting too, besides the fact
	// that it is one. Carriers that cannot tell (see CanDetectBeep) leave it out.
	DetectBeep bool

	// CallerName is shown to the callee where networks pass it on, at most 50
	// characters. Carriers that cannot send one (see CanCallerName) leave it out.
	CallerName string
	// SIPHeaders go with the call where it leaves the telephone network: names
	// and values of letters and digits only. A carrier that cannot send them
	// (see CanSIPHeaders) refuses, with an error that wraps errors.ErrUnsupported,
	// and sends nothing.
	SIPHeaders map[string]string
}
