package callotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/transcript"
)

// The attributes of spans and figures.
const (
	keyCall      = attribute.Key("switchboard.call.id")
	keyAgent     = attribute.Key("switchboard.agent")
	keyProvider  = attribute.Key("switchboard.provider")
	keyDirection = attribute.Key("switchboard.direction")
	keyState     = attribute.Key("switchboard.state")
	keyCause     = attribute.Key("switchboard.cause")
	keySpeaker   = attribute.Key("switchboard.speaker")
	keyReason    = attribute.Key("switchboard.reason")
	keyFailed    = attribute.Key("switchboard.failed")
	keyTaken     = attribute.Key("switchboard.taken_over")
)

// callSpan is the trace of one call. Once CallContext has made it, it belongs to
// the goroutine of Watch.
type callSpan struct {
	telemetry *Telemetry
	call      *call.Call      // as it was when the span began
	begun     context.Context // of the call: ends when the end of the call begins
	ctx       context.Context // with the span
	span      trace.Span
	state     trace.Span // of the state that the call is in
	last      int64      // Seq of the newest event that was taken
	clock     time.Time  // the zero of the media clock, or a little later; zero before there is sound
	missed    bool       // the end has begun, and was not heard of at the last look
	at        time.Time  // the last state, if its record was not to be had yet
	ended     bool
	before    *callSpan // of the same call, before another replica had it; nil: none that is open
}

// begin starts the span, and that of the state in which the call is.
func (s *callSpan) begin(ctx context.Context, parent trace.SpanContext) {
	c := s.call
	at := time.Now()
	if c.State == call.Initiated {
		at = c.CreatedAt
	}
	attributes := []attribute.KeyValue{
		keyCall.String(c.ID), keyAgent.String(c.AgentID), keyProvider.String(c.Provider),
		keyDirection.String(c.Direction.String()),
	}
	if c.State != call.Initiated { // another process had it
		attributes = append(attributes, keyTaken.Bool(true))
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(at), trace.WithAttributes(attributes...)}
	if parent.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: parent}))
	}
	s.ctx, s.span = s.telemetry.tracer.Start(ctx, "call", options...)
	s.child(c.State.String(), at, &s.state)
}

func (s *callSpan) child(name string, at time.Time, span *trace.Span, attributes ...attribute.KeyValue) {
	_, *span = s.telemetry.tracer.Start(s.ctx, name, trace.WithTimestamp(at), trace.WithAttributes(attributes...))
}

// take takes an event, after those before it that were missed.
func (s *callSpan) take(e call.Event, store *source) {
	if e.Seq > s.last+1 {
		s.fill(store, e.Seq)
	}
	s.apply(e, store)
}

// fill takes what the store has of the events before the one numbered next.
func (s *callSpan) fill(store *source, next int64) {
	events, err := store.events(s.call.ID, s.last)
	if err != nil {
		return // they are left out: what follows ends what they have begun
	}
	for _, e := range events {
		if e.Seq < next {
			s.apply(e, store)
		}
	}
}

// catchUp takes all events that the store has, and the end of a call that is over.
func (s *callSpan) catchUp(store *source) {
	const all = 1<<63 - 1
	s.fill(store, all)
	if s.ended {
		return
	}
	c, err := store.call(s.call.ID)
	switch {
	case errors.Is(err, call.ErrNotFound): // it was erased
		s.leave(time.Now())
	case err == nil && c.State.Terminal():
		if s.at.IsZero() {
			s.at = c.EndedAt
		}
		s.finish(c, s.at)
	}
}

// look is catchUp, if events were lost, or if the call should be over.
func (s *callSpan) look(store *source, lost bool) {
	ending := s.begun.Err() != nil
	if lost || ending && s.missed || !s.at.IsZero() {
		s.catchUp(store)
	}
	s.missed = ending
}

func (s *callSpan) apply(e call.Event, store *source) {
	over := e.Type == call.EventState && e.State.Terminal()
	if s.ended || e.Seq <= s.last && !over { // if another replica has it, its numbers may be lower
		return
	}
	s.last = e.Seq
	switch e.Type {
	case call.EventState:
		if over {
			s.over(e, store)
			return
		}
		s.state.End(trace.WithTimestamp(e.At))
		s.child(e.State.String(), e.At, &s.state)
		if e.State == call.Active {
			s.clock = e.At
		}
	case call.EventTranscript:
		if e.Segment != nil && e.Segment.Final && !e.Segment.Gap {
			s.turn(e)
		}
	case call.EventKey, call.EventCarrierRecording:
		s.tell(e) // its Name or Key is not ours to tell
	case call.EventRecording:
		s.tell(e, keyFailed.Bool(e.Detail != ""))
	case call.EventInterruption, call.EventHold, call.EventConsent, call.EventPause, call.EventMove,
		call.EventAnsweredBy, call.EventMachine, call.EventFailover, call.EventAgentChange,
		call.EventTranscription, call.EventListen, call.EventCleanup:
		s.tell(e, attribute.String("switchboard."+string(e.Type), e.Name)) // one of few words
	}
}

// tell adds an event to the span.
func (s *callSpan) tell(e call.Event, attributes ...attribute.KeyValue) {
	s.span.AddEvent(string(e.Type), trace.WithTimestamp(e.At), trace.WithAttributes(attributes...))
}

// turn makes a span of what somebody has said. Events do not tell when the media
// clock began: the earliest that any of them allows is taken.
func (s *callSpan) turn(e call.Event) {
	said := e.Segment
	if latest := e.At.Add(-said.End); s.clock.IsZero() || latest.Before(s.clock) {
		s.clock = latest
	}
	speaker := said.Speaker
	if speaker != transcript.Agent && speaker != transcript.Customer {
		speaker = "other"
	}
	var turn trace.Span
	s.child("turn", s.clock.Add(said.At), &turn, keySpeaker.String(string(speaker)))
	turn.End(trace.WithTimestamp(s.clock.Add(said.End)))
}

// over takes the call's last state. Its record may not have that yet: another
// replica has the call, and this one has not noticed; or it is not stored yet.
func (s *callSpan) over(e call.Event, store *source) {
	c, err := store.call(s.call.ID)
	if err != nil || !c.State.Terminal() {
		s.at = e.At // look asks again
		return
	}
	s.finish(c, e.At)
}

// finish ends the span of a call that is over, and counts it.
func (s *callSpan) finish(c *call.Call, at time.Time) {
	if c.Owner != s.call.Owner { // who has taken it over counts it
		s.leave(at)
		return
	}
	s.span.SetAttributes(keyProvider.String(c.Provider), keyAgent.String(c.AgentID),
		keyState.String(c.State.String()), keyCause.String(string(c.Cause)))
	if broken(c) {
		s.span.SetStatus(codes.Error, string(c.Cause))
	}
	s.end(at)
	s.telemetry.to.count(s.ctx, c)
}

// leave ends the span of a call that is not over, or is another replica's.
func (s *callSpan) leave(at time.Time) {
	s.span.SetAttributes(keyTaken.Bool(s.begun.Err() != nil))
	s.end(at)
}

func (s *callSpan) end(at time.Time) {
	for of := s; of != nil; of = of.before {
		of.ended = true
		of.state.End(trace.WithTimestamp(at))
		of.span.End(trace.WithTimestamp(at))
	}
	s.telemetry.forget(s)
}

// broken reports whether a call ended because something did not work.
func broken(c *call.Call) bool {
	switch c.Cause {
	case call.StreamLost, call.AgentError, call.AgentPanic, call.AgentStalled, call.Interrupted,
		call.NoMedia, call.NotRecorded, call.DialFailed, call.DialRejected, call.DialUnknown:
		return true
	}
	return c.State == call.Failed
}
