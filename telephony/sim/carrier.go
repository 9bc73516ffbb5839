package sim

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// The credentials of a Carrier that was given none. They are in the form of
// real ones, because client libraries check that.
const (
	DefaultAccountSID = "AC51e0a7c3d9b84f26a1d35c7e90b2f468"
	DefaultAuthToken  = "51e0a7c3d9b84f26a1d35c7e90b2f469"
	DefaultAuthID     = "MA51E0A7C3D9B84F26A1" // Plivo's name of the account
)

// Dialect is whose wire a Carrier speaks.
type Dialect uint8

const (
	// Twilio is the zero Dialect.
	Twilio Dialect = iota
	// Plivo is what the company of that name speaks.
	Plivo
)

// of returns what a carrier speaks with.
func (d Dialect) of(c *Carrier) dialect {
	if d == Plivo {
		return &plivo{carrier: c}
	}
	return &twilio{carrier: c}
}

// Config sets up a Carrier. The zero Config works: it reaches applications on
// loopback addresses.
type Config struct {
	// Dialect is whose wire the carrier speaks. Zero means Twilio's.
	Dialect Dialect
	// Quirks are what Plivo may do one way or another. Other dialects have none.
	Quirks Quirks

	// AccountSID and AuthToken are what the REST API asks for, and the token
	// signs the webhooks. Empty means DefaultAccountSID, or DefaultAuthID with
	// Plivo, and DefaultAuthToken.
	AccountSID string
	AuthToken  telephony.Secret
	// Keys are further credentials for the REST API, as Twilio's API keys are:
	// secret by name. They sign nothing.
	Keys map[string]telephony.Secret
	// CallerIDs are the numbers that calls may come from; any other is refused
	// with an error. Nil allows every number.
	CallerIDs []string

	// Dial makes every connection to the application, for webhooks and for
	// media. Nil means a net.Dialer that only connects to loopback addresses.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// AllowRemote lets a nil Dial connect to any address: whoever may place a
	// call then makes this process send requests anywhere.
	AllowRemote bool
	// InTheClear tells that https and wss addresses are reached without TLS, as
	// if Dial went through a proxy that takes it off. It needs Dial.
	InTheClear bool
	// TLS is used for https and wss addresses; nil means the defaults of
	// crypto/tls.
	TLS *tls.Config

	// CallsPerSecond is how fast queued calls are dialed. Zero means at once.
	CallsPerSecond float64
	// KeepAudio bounds what is kept of all that phones have heard. When it is
	// exceeded, the audio of ended calls is forgotten, oldest first, and then
	// the beginnings of live ones; it reads as silence. Zero means 4 hours,
	// which take some 230 MB.
	KeepAudio time.Duration
	// Faults are what this carrier does wrong. Zero means nothing.
	Faults Faults
	// Logger is told of what an application may want to mend, with level Warn,
	// and of each call, with level Debug. Nil means no logging.
	Logger *slog.Logger
}

// Bounds of what a Carrier remembers and carries out.
const (
	maxEndedCalls = 10_000 // oldest forgotten first
	maxLiveCalls  = 10_000 // more are refused with 429
)

// Errors of phones and their calls.
var (
	// ErrClosed tells that the carrier has been closed.
	ErrClosed = errors.New("sim: carrier is closed")
	// ErrOver tells that the call is over.
	ErrOver = errors.New("sim: call is over")
)

// Carrier is a simulated carrier. Make one with New. Its methods may be called
// by many goroutines at once.
type Carrier struct {
	config    Config
	log       *slog.Logger
	dialect   dialect
	transport *http.Transport
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // of all goroutines; Add only with mu held and not closed
	quiet  atomic.Bool    // no more webhooks

	conferences conferences
	recordings  recordings

	mu        sync.Mutex
	closed    bool
	calls     []*call // in the order in which they were made
	bySID     map[string]*call
	byRequest map[string]*call
	live      int
	made      uint64 // calls ever made
	creates   int    // requests to create a call
	requests  int    // others, that a fault has decided about
	phones    map[string]*Phone
	lines     map[string]Line
	otherwise Behavior
	faults    Faults
	fired     map[string]int
	warnings  map[int]int
	slot      time.Time // when the next queued call may be dialed
	audio     shelf
}

// A Line is what happens to calls to a number of the application.
type Line struct {
	// VoiceURL is asked what to do with a call, with a POST. Empty means that
	// calls fail at once.
	VoiceURL string
	// FallbackURL is asked if VoiceURL gives no answer that can be used.
	FallbackURL string
	// StatusURL is told when a call has ended; may be empty.
	StatusURL string
}

// New returns a Carrier. It starts no goroutine.
func New(cfg Config) *Carrier {
	if cfg.AccountSID == "" {
		cfg.AccountSID = DefaultAccountSID
		if cfg.Dialect == Plivo {
			cfg.AccountSID = DefaultAuthID
		}
	}
	if cfg.AuthToken == "" {
		cfg.AuthToken = DefaultAuthToken
	}
	if cfg.KeepAudio <= 0 {
		cfg.KeepAudio = 4 * time.Hour
	}
	c := &Carrier{
		config:    cfg,
		log:       cfg.Logger,
		dial:      cfg.Dial,
		bySID:     make(map[string]*call),
		byRequest: make(map[string]*call),
		phones:    make(map[string]*Phone),
		lines:     make(map[string]Line),
		otherwise: Behavior{Ring: time.Second},
		faults:    cfg.Faults,
		fired:     make(map[string]int),
		warnings:  make(map[int]int),
	}
	c.audio.limit = samplesIn(cfg.KeepAudio)
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.dial == nil {
		c.dial = dialer(cfg.AllowRemote)
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.transport = &http.Transport{
		DialContext:         c.dial,
		TLSClientConfig:     cfg.TLS,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
	if c.inTheClear() {
		c.transport.DialTLSContext = c.dial
	}
	c.dialect = cfg.Dialect.of(c)
	return c
}

func (c *Carrier) inTheClear() bool { return c.config.InTheClear && c.config.Dial != nil }

// dialer returns a dial function that refuses what is not loopback, after the
// name has been resolved.
func dialer(remote bool) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if !remote {
		d.Control = func(_, addr string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(addr)
			if err != nil || !loopback(host) {
				return fmt.Errorf("sim: %s is not a loopback address (see Config.AllowRemote)", addr)
			}
			return nil
		}
	}
	return d.DialContext
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ServeHTTP is the REST API.
func (c *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := c.requestFault(r)
	if !fault.replaces() && fault.Delay <= 0 {
		c.dialect.ServeHTTP(w, r)
		return
	}
	c.fire(FaultRequest)
	if problem := fault.serve(w, r, c.dialect); problem != nil {
		c.dialect.refuse(w, problem)
	}
}

// AccountSID is the name of the account.
func (c *Carrier) AccountSID() string { return c.config.AccountSID }

// AuthToken is the secret of the account.
func (c *Carrier) AuthToken() string { return string(c.config.AuthToken) }

// Phone returns the phone with this number, which it makes at the first use. A
// number may be anything that a call can go to.
func (c *Carrier) Phone(number string) *Phone {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.phones[number]
	if p == nil {
		p = &Phone{carrier: c, number: number, changed: make(chan struct{})}
		c.phones[number] = p
	}
	return p
}

// Assign gives a number to the application: calls of phones to it ask voiceURL
// what to do.
func (c *Carrier) Assign(number, voiceURL string) { c.AssignLine(number, Line{VoiceURL: voiceURL}) }

// AssignLine is Assign for a number with more than one URL.
func (c *Carrier) AssignLine(number string, l Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[number] = l
}

// Otherwise sets how phones behave that were not told how. At first they ring
// for a second, are answered, and listen.
func (c *Carrier) Otherwise(b Behavior) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.otherwise = b
}

// SetFaults replaces the faults for calls and requests that begin from now on. A
// call keeps those that it began with. See [Phone.SetFaults] for those of one call.
func (c *Carrier) SetFaults(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
}

// CallInfo is what the carrier knows of one call.
type CallInfo struct {
	SID       string
	ParentSID string // of the call that dialed this one, if one did
	RequestID string // Plivo's request_uuid of an outbound call
	From, To  telephony.Number
	Direction telephony.Direction
	Status    telephony.Status
	// HungUpBy is who ended the call, as far as it has ended.
	HungUpBy Party
	// SIPCode is how the network ended a call that was not answered; else 0.
	SIPCode int
	// Err is why the carrier ended the call, if it did.
	Err error

	Created, Started, Answered, Ended time.Time // zero until it happens
}

// talked is how long the call lasted after the answer, once it has ended.
func (i *CallInfo) talked() time.Duration {
	if i.Answered.IsZero() || i.Ended.IsZero() {
		return 0
	}
	return i.Ended.Sub(i.Answered)
}

// Calls returns all calls that the carrier knows, in the order in which they
// were made: live ones and the last 10,000 that have ended. One that was
// deleted through the REST API is still among them.
func (c *Carrier) Calls() []CallInfo {
	c.mu.Lock()
	calls := append([]*call(nil), c.calls...)
	c.mu.Unlock()
	infos := make([]CallInfo, len(calls))
	for i, l := range calls {
		infos[i] = l.info()
	}
	return infos
}

// Fired returns how often each fault has really happened, by the names of the
// Fault constants.
func (c *Carrier) Fired() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.fired)
}

// Warnings returns how often each warning or error of Twilio's catalogue was
// raised, by its number: 31951 is a message on a stream that makes no sense,
// 31931 a stream with too much audio waiting, 11200 a webhook that failed. In
// Plivo's dialect webhooks have Plivo's numbers, 7011 if they failed and 8011 if
// the reply was no XML that can be used; streams, for which Plivo has none, keep
// those of Twilio.
func (c *Carrier) Warnings() map[int]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.warnings)
}

func (c *Carrier) fire(fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fired[fault]++
}

func (c *Carrier) warn(code int, msg string, args ...any) {
	c.mu.Lock()
	c.warnings[code]++
	c.mu.Unlock()
	c.log.Warn(msg, append(args, "code", code)...)
}

// Close ends all calls without a word to the application, waits until every
// goroutine has ended, also those of Behavior.Talk, and closes idle
// connections. Later calls are refused.
func (c *Carrier) Close() error {
	c.mu.Lock()
	c.closed = true
	calls := append([]*call(nil), c.calls...)
	c.mu.Unlock()
	c.quiet.Store(true)
	for _, l := range calls {
		l.end(ending{by: ByCarrier, status: telephony.StatusFailed, err: ErrClosed})
	}
	c.cancel(ErrClosed)
	c.wg.Wait()
	c.transport.CloseIdleConnections()
	return nil
}

// start runs f in a goroutine that Close waits for.
func (c *Carrier) start(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.wg.Go(f)
	return nil
}

// errCrowded tells that there are maxLiveCalls already.
var errCrowded = errors.New("sim: too many live calls")

// add makes a call. Whoever adds it must see to it that finish is called.
func (c *Carrier) add(l *call) error {
	l.carrier, l.dialect = c, c.dialect
	if l.sid == "" {
		l.sid = c.dialect.callID()
	}
	l.created = time.Now()
	l.over, l.picked, l.begun = make(chan struct{}), make(chan struct{}), make(chan struct{})
	l.jar, _ = cookiejar.New(nil) // never fails
	l.ctx, l.cancel = context.WithCancelCause(c.ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case c.live >= maxLiveCalls:
		return errCrowded
	}
	c.made++
	l.ordinal = c.made
	l.faults = c.faults
	number := l.to
	if l.direction == telephony.Inbound {
		number = l.from
	}
	if f := c.phones[number].ownFaults(); f != nil {
		l.faults = *f
	}
	l.post.call = l
	l.post.chance = l.faults.chance(l.ordinal, 0)
	c.live++
	c.calls = append(c.calls, l)
	c.bySID[l.sid] = l
	if l.requestID != "" {
		c.byRequest[l.requestID] = l
	}
	if excess := len(c.calls) - c.live - maxEndedCalls; excess >= maxEndedCalls/10 { // worth the walk
		c.forget(excess)
	}
	return nil
}

// Forget drops all that the carrier and its phones know of calls that have ended,
// so that a test of very many calls can tell what it keeps itself.
func (c *Carrier) Forget() {
	c.audio.forget()
	c.mu.Lock()
	c.forget(len(c.calls))
	phones := slices.Collect(maps.Values(c.phones))
	c.mu.Unlock()
	for _, p := range phones {
		p.forget()
	}
}

// forget drops the oldest ended calls, as many as are in excess. c.mu is held.
func (c *Carrier) forget(excess int) {
	kept := c.calls[:0]
	for _, l := range c.calls {
		if excess > 0 && l.isOver() {
			delete(c.bySID, l.sid)
			delete(c.byRequest, l.requestID)
			excess--
			continue
		}
		kept = append(kept, l)
	}
	clear(c.calls[len(kept):])
	c.calls = kept
}

// remove counts a call as ended.
func (c *Carrier) remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live--
}

func (c *Carrier) call(sid string) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bySID[sid]
}

// reserve returns when the next queued call may be dialed.
func (c *Carrier) reserve() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.config.CallsPerSecond <= 0 {
		return now
	}
	if c.slot.Before(now) {
		c.slot = now
	}
	mine := c.slot
	c.slot = c.slot.Add(time.Duration(float64(time.Second) / c.config.CallsPerSecond))
	return mine
}

// newSID returns a new identifier: two letters and 32 hexadecimal digits.
func newSID(prefix string) string {
	var b [16]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
