package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Outcome is what becomes of a call to a phone.
type Outcome uint8

const (
	// Answer is the zero Outcome: somebody answers.
	Answer Outcome = iota
	// Busy refuses the call after it has rung.
	Busy
	// NoAnswer lets it ring: as long as Ring says or, if that is zero, until the
	// application's own time limit.
	NoAnswer
	// Failed is a number that the network cannot reach. It does not ring.
	Failed
)

// A Behavior is what a phone does when it is called. The zero Behavior answers
// at once and listens.
type Behavior struct {
	Outcome Outcome
	// Ring is how long it rings before that.
	Ring time.Duration
	// Talk is what the person does after the answer, in a goroutine of its own.
	// When it returns, the phone stays on the line and listens until somebody
	// hangs up. Every method of a Talk returns when the call is over; Talk must
	// then return soon.
	Talk func(t *Talk)
	// Voicemail is what answers, if it is not nil, in place of Talk.
	Voicemail *Voicemail
	// AnsweredBy is what machine detection finds, in Twilio's words: "human",
	// "machine_start", "fax", "unknown". Empty means "human", or "machine_start"
	// for a Voicemail. A "machine_start" is reported as "machine_end_beep" to
	// those who wait for the end of the greeting: after the beep of a Voicemail,
	// and after 4.1 seconds otherwise.
	AnsweredBy string
}

// Reasons for which a call of a Phone is not answered.
var (
	// ErrBusy tells that the application rejected the call as busy.
	ErrBusy = errors.New("sim: busy")
	// ErrRejected tells that the application rejected the call.
	ErrRejected = errors.New("sim: rejected")
	// ErrNoLine tells that the number is not assigned, or has no voice URL.
	ErrNoLine = errors.New("sim: number is not in service")
	// ErrFailed tells that the application gave no instructions that can be
	// used. What went wrong is wrapped with it.
	ErrFailed = errors.New("sim: call failed")
)

// Phone is a telephone. Its methods may be called by many goroutines at once.
type Phone struct {
	carrier *Carrier
	number  string

	mu      sync.Mutex
	set     *Behavior
	faults  *Faults
	talks   []*Talk
	handed  int // talks that NextTalk has returned
	changed chan struct{}
}

// maxTalks is how many talks a phone remembers.
const maxTalks = 1000

// Number is the phone's number.
func (p *Phone) Number() string { return p.number }

// Behave sets what the phone does with calls that begin to ring from now on.
func (p *Phone) Behave(b Behavior) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = &b
}

func (p *Phone) behavior() Behavior {
	p.mu.Lock()
	set := p.set
	p.mu.Unlock()
	if set != nil {
		return *set
	}
	p.carrier.mu.Lock()
	defer p.carrier.mu.Unlock()
	return p.carrier.otherwise
}

// SetFaults sets what goes wrong with calls to and from this phone that are placed
// from now on, in place of the faults of the carrier. Those of requests to the REST
// API are always the carrier's.
func (p *Phone) SetFaults(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = &f
}

// ownFaults returns the faults of a phone, if it has any of its own. P may be nil.
func (p *Phone) ownFaults() *Faults {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// forget drops the talks that are over.
func (p *Phone) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.talks = slices.DeleteFunc(p.talks, func(t *Talk) bool { return t.call.ctx.Err() != nil })
	p.handed = min(p.handed, len(p.talks))
}

// add remembers t.
func (p *Phone) add(t *Talk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.talks) == maxTalks {
		clear(p.talks[:1])
		p.talks = p.talks[1:]
		p.handed = max(0, p.handed-1)
	}
	p.talks = append(p.talks, t)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Talks returns the calls of this phone that were answered, in order, but no
// more than the last 1,000.
func (p *Phone) Talks() []*Talk {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Talk(nil), p.talks...)
}

// NextTalk waits for the next call of this phone to be answered. It returns each
// talk once, the first one first.
func (p *Phone) NextTalk(ctx context.Context) (*Talk, error) {
	for {
		p.mu.Lock()
		if p.handed < len(p.talks) {
			t := p.talks[p.handed]
			p.handed++
			p.mu.Unlock()
			return t, nil
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.carrier.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// Call calls a number of the application and returns when the call is answered,
// and the application hears the phone if its first instruction is to connect a
// stream. The error is ErrBusy, ErrRejected, ErrNoLine, ErrFailed, ErrClosed or that of ctx,
// with whose end the phone hangs up before the answer. After the answer ctx has
// no meaning.
func (p *Phone) Call(ctx context.Context, to string) (*Talk, error) {
	p.carrier.mu.Lock()
	line := p.carrier.lines[to]
	p.carrier.mu.Unlock()
	c := &call{
		from:      p.number,
		to:        to,
		direction: telephony.Inbound,
		order: order{
			instruction:  instruction{url: line.VoiceURL, method: "POST", fallback: line.FallbackURL, fallbackMethod: "POST"},
			statusURL:    line.StatusURL,
			statusMethod: "POST",
			limit:        defaultLimit,
		},
	}
	if err := p.carrier.add(c); err != nil {
		return nil, err
	}
	if line.VoiceURL == "" {
		c.end(ending{by: ByCarrier, status: telephony.StatusFailed, sip: 404, err: ErrNoLine})
		c.finish()
		return nil, ErrNoLine
	}
	if err := p.carrier.start(c.receive); err != nil {
		c.end(ending{by: ByCarrier, status: telephony.StatusFailed, err: err})
		c.finish()
		return nil, err
	}
	select {
	case <-c.picked:
		select {
		case <-c.begun:
		case <-c.ctx.Done():
		case <-ctx.Done():
		}
		return c.talking(), nil
	case <-ctx.Done():
		c.end(ending{by: ByCaller, status: telephony.StatusCanceled, sip: 487})
	case <-c.ctx.Done():
	}
	select {
	case <-c.picked: // the answer was first
		return c.talking(), nil
	default:
	}
	return nil, c.refusal(ctx)
}

// refusal is why a call that is over was not answered.
func (c *call) refusal(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.status {
	case telephony.StatusBusy:
		return ErrBusy
	case telephony.StatusNoAnswer:
		return ErrRejected
	case telephony.StatusCanceled:
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if c.ending.err != nil {
		if errors.Is(c.ending.err, ErrClosed) {
			return ErrClosed
		}
		return fmt.Errorf("%w: %w", ErrFailed, c.ending.err)
	}
	return ErrFailed
}
