package callotel

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/switchboard-voice/switchboard/call"
)

// scope names what the spans and figures come from.
const scope = "github.com/switchboard-voice/switchboard/call/callotel"

// Telemetry traces and counts the calls of one service. Its zero value works; it
// must not be copied. Its methods may be used by many goroutines at once.
type Telemetry struct {
	// Tracers and Meters are where spans and figures go. Nil: the global ones.
	Tracers trace.TracerProvider
	Meters  metric.MeterProvider

	once   sync.Once
	tracer trace.Tracer
	meter  metric.Meter
	to     instruments

	mu   sync.Mutex // guards what follows
	open map[string]*callSpan
	over bool // Watch has returned: nobody would end a span
}

func (t *Telemetry) init() {
	t.once.Do(func() {
		if t.Tracers == nil {
			t.Tracers = otel.GetTracerProvider()
		}
		if t.Meters == nil {
			t.Meters = otel.GetMeterProvider()
		}
		t.tracer = t.Tracers.Tracer(scope)
		t.meter = t.Meters.Meter(scope)
		t.to = newInstruments(t.meter)
		t.open = make(map[string]*callSpan)
	})
}

// CallContext begins the span of a call and returns a context with it. It is for
// call.Config. The span ends when Watch hears of the end of the call.
func (t *Telemetry) CallContext(ctx context.Context, c *call.Call) context.Context {
	t.init()
	if t.isOver() {
		return ctx
	}
	s := &callSpan{telemetry: t, call: c, begun: ctx, last: c.Events}
	var parent trace.SpanContext
	if of := t.find(c.ParentID); of != nil {
		parent = of.span.SpanContext()
	}
	s.begin(ctx, parent)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over { // just now
		s.state.End()
		s.span.End()
		return ctx
	}
	s.before = t.open[c.ID]
	t.open[c.ID] = s
	return s.ctx
}

func (t *Telemetry) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

func (t *Telemetry) find(id string) *callSpan {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[id]
}

func (t *Telemetry) forget(s *callSpan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[s.call.ID] == s {
		delete(t.open, s.call.ID)
	}
}

func (t *Telemetry) all() []*callSpan {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*callSpan, 0, len(t.open))
	for _, s := range t.open {
		all = append(all, s)
	}
	return all
}

// Transport returns a transport for the Transport of a carrier's adapter, that
// sends requests over base. Each is a span, the child of the call's that it is
// about, and is counted. Their names and attributes are a method, a host and a
// status: no path, since that has the ids of accounts and calls. Nothing is added
// to what is sent.
//
// Base must not repeat or redirect requests by itself. Nil: one that connects to
// public addresses only, as adapters do for their carriers' own.
func (t *Telemetry) Transport(base http.RoundTripper) http.RoundTripper {
	t.init()
	return newTransport(t, base)
}

const (
	// buffer is how many events may wait for Watch.
	buffer = 4096
	// lookEvery is how often Watch looks for calls whose end it has not heard of.
	lookEvery = 10 * time.Second
)

// Watch turns what happens on the calls of svc into spans and figures, until ctx
// ends or svc has shut down, and returns then. It is to be called once, when svc
// has been made; the spans of calls that live when it returns end there. An event
// that it misses is had from the store, so that a span never stays open.
func (t *Telemetry) Watch(ctx context.Context, svc *call.Service) {
	t.init()
	events := svc.Subscribe(ctx, buffer)
	defer t.observe(svc)()
	t.mu.Lock()
	t.over = false
	t.mu.Unlock()

	store := &source{ctx: context.WithoutCancel(ctx), svc: svc} // asked about what has happened, also when ctx has ended
	for _, s := range t.all() {
		s.catchUp(store) // of before Subscribe
	}
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	var dropped int64
	for {
		select {
		case e, ok := <-events.C:
			if !ok {
				t.end(store)
				return
			}
			if s := t.find(e.CallID); s != nil {
				s.take(e, store)
			}
		case <-looks.C:
			now := events.Dropped()
			store.away = false
			for _, s := range t.all() {
				s.look(store, now > dropped)
			}
			if !store.away {
				dropped = now
			}
		}
	}
}

// end ends the spans of calls that nobody watches any longer.
func (t *Telemetry) end(store *source) {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	store.away = false
	for _, s := range t.all() {
		if s.catchUp(store); !s.ended {
			s.leave(time.Now())
		}
	}
}

// source is where events and records are had from. When it has failed it is away
// until the next look: a store that does not answer must not hold Watch up once
// for each call.
type source struct {
	ctx  context.Context
	svc  *call.Service
	away bool
}

var errAway = errors.New("the store is away")

func (s *source) events(id string, after int64) ([]call.Event, error) {
	if s.away {
		return nil, errAway
	}
	events, err := s.svc.Events(s.ctx, id, after)
	s.away = err != nil
	return events, err
}

func (s *source) call(id string) (*call.Call, error) {
	if s.away {
		return nil, errAway
	}
	c, err := s.svc.Call(s.ctx, id)
	s.away = err != nil && !errors.Is(err, call.ErrNotFound)
	return c, err
}
