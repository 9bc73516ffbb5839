package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Party is one of those who take part in a call.
type Party string

// The parties that may have ended a call.
const (
	Nobody    Party = "" // the call is not over
	ByCaller  Party = "caller"
	ByCallee  Party = "callee"
	ByCarrier Party = "carrier" // a limit was reached, or something went wrong
)

// A dialect is how one carrier's customers are spoken to.
type dialect interface {
	// ServeHTTP is the REST API.
	ServeHTTP(w http.ResponseWriter, r *http.Request)
	// creates reports whether a request is one to create a call.
	creates(r *http.Request) bool
	refuse(w http.ResponseWriter, e *apiError)
	// callID and streamID return new identifiers.
	callID() string
	streamID() string

	// patience is how long the carrier waits for a webhook.
	patience() *patience
	// stamp signs a webhook. Params are nil if they are in u.
	stamp(h http.Header, method string, u *url.URL, params url.Values, token string)
	// question is what is told to an application that is asked what to do.
	question(c *call, ins instruction) url.Values
	// excuse tells the fallback URL why it is asked.
	excuse(params url.Values, ins instruction, problem *hookError)
	// parse reads the answer. References in it are relative to base, unless
	// that is nil.
	parse(data []byte, base *url.URL) ([]verb, error)
	// number is that of the warning of a problem.
	number(problem *hookError) int

	// progress tells of a new status.
	progress(c *call, s telephony.Status)
	// dialed returns what to tell of a call that another one has dialed.
	dialed(leg CallInfo, bridged time.Duration) url.Values
	// recordingID returns a new identifier.
	recordingID() string
	// recorded returns what to tell of how a recording stands.
	recorded(r *recording) url.Values
	// conferenceID and memberID return new identifiers.
	conferenceID() string
	memberID() string
	// happened returns what to tell of an event of a member's conference.
	happened(m *member, e conferenceEvent) url.Values
	// conferred returns what to tell of a member that has left.
	conferred(m *member) url.Values
	// detected is told when it is known who answered, to tell of it.
	detected(c *call, after time.Duration)
	// streamed tells how a stream is doing; problem is set if it failed.
	streamed(s *stream, e streamEvent, problem error)
	// talk is the language of a stream.
	talk(s *stream) language
}

// An instruction is where to learn what to do with a call.
type instruction struct {
	url, method              string
	fallback, fallbackMethod string
	document                 string     // the instructions themselves, if url is empty
	more                     url.Values // further parameters of the request
}

// order is what the application asked for when it placed a call, or what is
// agreed for one of its lines.
type order struct {
	instruction
	statusURL    string
	statusMethod string
	statusEvents map[telephony.Status]bool // what is told; nil means only the end
	ringURL      string                    // is told of ringing
	ringMethod   string
	callerName   string
	timeout      time.Duration // of ringing
	limit        time.Duration // of the whole call
	digits       string
	detect       bool // who answers
	detectURL    string
	detectMethod string
	detectEnd    bool // waits for the end of a machine's greeting
	detectAsync  bool
	detectHangup bool         // a machine ends the call
	record       *recordOrder // from the answer on; nil for not at all
}

// A call is one call of one phone with the application, or with the phone that
// dialed it.
type call struct {
	carrier   *Carrier
	dialect   dialect
	ordinal   uint64
	sid       string
	requestID string // id of the request that placed it, where that differs
	from, to  string
	direction telephony.Direction
	parent    *call
	created   time.Time
	slot      time.Time // when it may be dialed
	faults    Faults
	post      postman
	jar       http.CookieJar // of this call's webhooks

	ctx    context.Context // ends with the call
	cancel context.CancelCauseFunc
	picked chan struct{} // closed at the answer
	begun  chan struct{} // closed when what comes after the answer has begun
	once   sync.Once     // of begun
	over   chan struct{} // closed when all is done

	mu         sync.Mutex
	order      order
	status     telephony.Status
	started    time.Time
	answered   time.Time
	ended      time.Time
	ending     *ending
	answeredBy string
	detection  time.Duration // how long it took to find that
	talk       *Talk
	interrupt  context.CancelFunc // makes it leave what it does
	update     *update            // what it shall do then; nil for nothing else
	leg        *call              // that it has dialed and not left
	recordings []*recording
	limit      *time.Timer
	deleted    bool   // through the REST API
	streams    uint64 // ever opened
}

// An ending is why a call is over.
type ending struct {
	by     Party
	status telephony.Status // if the call was not answered
	sip    int              // likewise
	err    error
	how    occasion
}

// An occasion is what ended a call, as far as its parties do not tell.
type occasion uint8

const (
	byItself     occasion = iota
	atLastVerb            // nothing was left to do
	byVerb                // the application's instructions said so
	onRequest             // through the REST API
	atLimit               // it lasted as long as it may
	foundMachine          // that answered
)

// errEnded is why the context of a call has ended.
var errEnded = errors.New("sim: call has ended")

// end ends the call. The first to do so decides how.
func (c *call) end(e ending) {
	c.mu.Lock()
	if c.ending != nil {
		c.mu.Unlock()
		return
	}
	c.ending = &e
	c.ended = time.Now()
	c.status = e.status
	if !c.answered.IsZero() {
		c.status = telephony.StatusCompleted
	}
	if c.limit != nil {
		c.limit.Stop()
	}
	ended, talk := c.ended, c.talk
	c.mu.Unlock()
	if talk != nil {
		talk.ear.hangup(ended)
	}
	c.cancel(errEnded)
}

// finish ends the call if nobody has, and tells of the end.
func (c *call) finish() {
	c.end(ending{by: c.application(), status: telephony.StatusCompleted})
	c.stopRecordings()
	c.mu.Lock()
	status := c.status
	c.mu.Unlock()
	c.dialect.progress(c, status)
	c.carrier.log.Debug("call ended", "call", c.sid, "status", status)
	c.carrier.remove()
	close(c.over)
}

// begin tells that the first verb has begun; if that is a stream, that it is
// open, or cannot be opened.
func (c *call) begin() { c.once.Do(func() { close(c.begun) }) }

// application is which party the application, or the parent, is.
func (c *call) application() Party {
	if c.direction == telephony.Inbound {
		return ByCallee
	}
	return ByCaller
}

// person is which party the phone is.
func (c *call) person() Party {
	if c.direction == telephony.Inbound {
		return ByCaller
	}
	return ByCallee
}

func (c *call) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// become sets the status and tells of it, unless the call is over.
func (c *call) become(s telephony.Status) bool {
	c.mu.Lock()
	if c.ending != nil {
		c.mu.Unlock()
		return false
	}
	c.status = s
	if c.started.IsZero() {
		c.started = time.Now()
	}
	c.mu.Unlock()
	c.dialect.progress(c, s)
	return true
}

// place is the life of a call that the application has placed.
func (c *call) place() {
	defer c.finish()
	if !sleep(c.ctx, time.Until(c.slot)) {
		return
	}
	b, ok := c.ring()
	if !ok {
		return
	}
	c.mu.Lock()
	o := c.order
	c.mu.Unlock()
	if o.digits != "" {
		c.sendDigits(c.ctx, o.digits)
	}
	c.detect(o, b)
	c.follow(o.instruction)
}

// ring rings the phone and reports whether it was answered.
func (c *call) ring() (Behavior, bool) {
	if !c.become(telephony.StatusInitiated) {
		return Behavior{}, false
	}
	phone := c.carrier.Phone(c.to)
	b := phone.behavior()
	if b.Outcome == Failed {
		sleep(c.ctx, b.Ring)
		c.end(ending{by: ByCarrier, status: telephony.StatusFailed, sip: 404})
		return b, false
	}
	if !c.become(telephony.StatusRinging) {
		return b, false
	}
	c.mu.Lock()
	limit := c.order.timeout
	c.mu.Unlock()
	wait, outcome, sip := b.Ring, b.Outcome, 480
	if outcome == NoAnswer && wait == 0 || wait > limit {
		wait, outcome, sip = limit, NoAnswer, 487
	}
	if !sleep(c.ctx, wait) {
		return b, false
	}
	switch outcome {
	case Busy:
		c.end(ending{by: ByCallee, status: telephony.StatusBusy, sip: 486})
		return b, false
	case NoAnswer:
		c.end(ending{by: ByCarrier, status: telephony.StatusNoAnswer, sip: sip})
		return b, false
	}
	if !c.answer(phone) {
		return b, false
	}
	do := b.Talk
	if b.Voicemail != nil {
		do = b.Voicemail.talk
	}
	if do != nil {
		// After Close there is nobody to talk to.
		_ = c.carrier.start(func() { do(c.talk) })
	}
	return b, true
}

// answer begins the talk and tells of it. Whoever sees the talk sees a call in
// progress.
func (c *call) answer(p *Phone) bool {
	now := time.Now()
	c.mu.Lock()
	if c.ending != nil {
		c.mu.Unlock()
		return false
	}
	c.talk = newTalk(c, p, now)
	c.answered = now
	c.status = telephony.StatusInProgress
	limit, record := c.order.limit, c.order.record
	if limit > 0 {
		c.limit = time.AfterFunc(limit, func() { c.end(ending{by: ByCarrier, how: atLimit}) })
	}
	c.mu.Unlock()
	if record != nil {
		c.record(*record)
	}
	p.add(c.talk)
	close(c.picked)
	c.dialect.progress(c, telephony.StatusInProgress)
	return true
}

// How long it takes to tell who answered.
const (
	humanTime   = 2400 * time.Millisecond
	machineTime = 4100 * time.Millisecond
)

func detectionTime(who string) time.Duration {
	if who == "human" {
		return humanTime
	}
	return machineTime
}

// detect finds out who answered. It waits for that unless the application asked
// to be told later.
func (c *call) detect(o order, b Behavior) {
	if !o.detect || o.digits != "" {
		return
	}
	who := b.AnsweredBy
	switch {
	case who != "":
	case b.Voicemail != nil:
		who = "machine_start"
	default:
		who = "human"
	}
	took := detectionTime(who)
	if who == "machine_start" && o.detectEnd {
		who = "machine_end_beep"
		if b.Voicemail != nil {
			took = length(len(b.Voicemail.greeting()))
		}
	}
	c.mu.Lock()
	c.detection = took
	c.mu.Unlock()
	after := took
	if c.faults.DetectionDelay > 0 {
		after += c.faults.DetectionDelay
		c.carrier.fire(FaultDetectionLate)
	}
	find := func() {
		if !sleep(c.ctx, after) {
			return
		}
		c.mu.Lock()
		c.answeredBy = who
		c.mu.Unlock()
		c.dialect.detected(c, took)
	}
	if !o.detectAsync {
		find()
		return
	}
	_ = c.carrier.start(find) // after Close nobody wants to know
}

// receive is the life of a call from a phone to a line.
func (c *call) receive() {
	defer c.finish()
	if !c.become(telephony.StatusRinging) {
		return
	}
	c.follow(c.order.instruction)
}

// pickUp answers a call from a phone, if it is not answered yet.
func (c *call) pickUp() {
	c.mu.Lock()
	answered := !c.answered.IsZero()
	c.mu.Unlock()
	if !answered {
		c.answer(c.carrier.Phone(c.from))
	}
}

// maxDocuments is how many sets of instructions a call carries out. It ends
// calls that are redirected for ever, which in virtual time would take no time.
const maxDocuments = 1000

// An update is new instructions for a live call. The call goes on with what it
// does until they are there.
type update struct {
	ready chan struct{} // closed when the rest is there
	verbs []verb
	err   error
}

// follow carries out instructions until there are none, or the call ends.
func (c *call) follow(ins instruction) {
	c.carryOut(func(ctx context.Context) (*instruction, error) {
		verbs, err := c.fetch(ctx, ins)
		if err != nil {
			return nil, err
		}
		return c.perform(ctx, verbs)
	})
}

// carryOut does what next does, and then what it is told to do. Next returns
// where further instructions are; nil means that there are none.
func (c *call) carryOut(next func(ctx context.Context) (*instruction, error)) {
	for range maxDocuments {
		ins, err := c.step(next)
		u := c.awaitUpdate()
		switch {
		case c.ctx.Err() != nil:
			return
		case u != nil:
			next = u.perform(c)
			continue
		case err != nil:
			c.end(ending{by: ByCarrier, status: telephony.StatusFailed, err: err})
			return
		case ins == nil:
			c.pickUp()
			c.end(ending{by: c.application(), how: atLastVerb})
			return
		}
		next = func(ctx context.Context) (*instruction, error) {
			verbs, err := c.fetch(ctx, *ins)
			if err != nil {
				return nil, err
			}
			return c.perform(ctx, verbs)
		}
	}
	c.end(ending{by: ByCarrier, status: telephony.StatusFailed,
		err: fmt.Errorf("sim: call was redirected %d times", maxDocuments)})
}

// perform does what u says.
func (u *update) perform(c *call) func(context.Context) (*instruction, error) {
	return func(ctx context.Context) (*instruction, error) {
		if u.err != nil {
			return nil, u.err
		}
		return c.perform(ctx, u.verbs)
	}
}

func (c *call) step(do func(context.Context) (*instruction, error)) (*instruction, error) {
	ctx, interrupt := context.WithCancel(c.ctx)
	defer interrupt()
	c.interruptible(interrupt)
	return do(ctx)
}

// interruptible sets how the call is made to leave what it does.
func (c *call) interruptible(interrupt context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupt = interrupt
	if c.update != nil && c.update.isReady() {
		interrupt()
	}
}

func (u *update) isReady() bool {
	select {
	case <-u.ready:
		return true
	default:
		return false
	}
}

// redirect replaces the instructions of a live call as soon as the application
// has given the new ones. It reports false if the call is not in progress.
func (c *call) redirect(ins instruction) bool {
	u := &update{ready: make(chan struct{})}
	c.mu.Lock()
	if c.ending != nil || c.answered.IsZero() {
		c.mu.Unlock()
		return false
	}
	c.update = u
	c.mu.Unlock()
	return c.carrier.start(func() {
		u.verbs, u.err = c.fetch(c.ctx, ins)
		close(u.ready)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.update == u && c.interrupt != nil {
			c.interrupt()
		}
	}) == nil // otherwise the carrier is closed, and the call over
}

// redirected reports whether new instructions are on their way.
func (c *call) redirected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.update != nil
}

// awaitUpdate returns the new instructions that are on their way, if there are
// any, as soon as they are there. Of several it returns the last.
func (c *call) awaitUpdate() *update {
	for {
		c.mu.Lock()
		u := c.update
		if u == nil || u.isReady() {
			c.update = nil
			c.mu.Unlock()
			return u
		}
		c.mu.Unlock()
		select {
		case <-u.ready:
		case <-c.ctx.Done():
			return nil
		}
	}
}

// talking returns the talk of an answered call.
func (c *call) talking() *Talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.talk
}

func (c *call) info() CallInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := CallInfo{
		SID:       c.sid,
		RequestID: c.requestID,
		From:      telephony.Number(c.from),
		To:        telephony.Number(c.to),
		Direction: c.direction,
		Status:    c.status,
		Created:   c.created,
		Started:   c.started,
		Answered:  c.answered,
		Ended:     c.ended,
	}
	if c.parent != nil {
		i.ParentSID = c.parent.sid
	}
	if c.ending != nil {
		i.HungUpBy, i.Err = c.ending.by, c.ending.err
		if c.answered.IsZero() {
			i.SIPCode = c.ending.sip
		}
	}
	return i
}
