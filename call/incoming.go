package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// hangUp is the answer to whoever asks about a call that is over.
var hangUp = &telephony.Answer{Hangup: true}

// nothing is the answer to a report.
var nothing = &telephony.Answer{}

// incoming answers a carrier that has a caller for us.
func (s *Service) incoming(ctx context.Context, provider Provider, e telephony.Event) *telephony.Answer {
	if l := s.findLeg(legKey{provider.Name(), e.ProviderCallID}); l != nil {
		if e.Status.Final() { // some carriers report the end here
			return s.reported(ctx, provider, l.id, e)
		}
		return l.answer()
	}
	if e.Status.Final() || e.ProviderCallID == "" {
		return nothing
	}
	switch _, err := s.byProvider(ctx, provider.Name(), e.ProviderCallID); {
	case err == nil:
		return hangUp // a call that is over: the webhook is an old one
	case !errors.Is(err, ErrNotFound):
		s.log.Error("inbound call turned away", "err", err)
		return s.apologize()
	}
	d, err := s.route(ctx, provider, e)
	if err != nil {
		s.counts.refused.Add(1)
		s.log.Warn("inbound call not routed", "to", e.To, "err", err, "trace", routing.TraceOf(err))
		return &telephony.Answer{Reject: telephony.RejectRefused}
	}
	for _, err := range d.Failed {
		s.log.Warn("router failed", "err", err)
	}
	if d.Reject != telephony.RejectNone {
		s.release(d.Lease)
		s.counts.refused.Add(1)
		return &telephony.Answer{Reject: d.Reject}
	}
	l, err := s.receive(ctx, provider, Call{
		AgentID:        d.AgentID,
		ProviderCallID: e.ProviderCallID,
		From:           e.From,
		To:             e.To,
		Context:        d.Context,
		Route:          d.Reason,
		Routing:        d.Trace,
		Options:        s.inboundOptions(),
	}, d.Lease)
	if err != nil {
		s.counts.refused.Add(1)
		s.log.Warn("inbound call turned away", "err", err)
		return s.apologize()
	}
	return l.answer()
}

func (s *Service) apologize() *telephony.Answer {
	return &telephony.Answer{Say: s.cfg.Apology, Hangup: true}
}

// route asks the router.
func (s *Service) route(ctx context.Context, provider Provider, e telephony.Event) (routing.Decision, error) {
	if s.cfg.Router == nil {
		return routing.Decision{}, fmt.Errorf("no router: %w", routing.ErrNoRoute)
	}
	return within(ctx, s, routeTimeout, func(ctx context.Context) (routing.Decision, error) {
		return s.cfg.Router.Route(ctx, &routing.Request{
			From: e.From, To: e.To, Provider: provider.Name(), At: time.Now(),
		})
	}, func(late routing.Decision) { s.release(late.Lease) })
}

// inboundOptions are those of calls about which nobody could be asked.
func (s *Service) inboundOptions() Options {
	return Options{
		Record:           s.cfg.RecordInbound && s.cfg.Recorder != nil,
		RequireRecording: s.cfg.RequireRecording,
		AwaitConsent:     s.cfg.AwaitConsent,
		Transcribe:       s.cfg.TranscribeInbound && s.cfg.Transcriber != nil,
	}
}

// receive makes a call of what has come in, which c describes. Lease is the load
// that it is to its agent, to be given back when it is over, or does not come
// about; may be nil.
func (s *Service) receive(ctx context.Context, provider Provider, c Call, lease routing.Lease) (*live, error) {
	agent, ok := s.cfg.Agents[c.AgentID]
	if !ok {
		s.release(lease)
		return nil, fmt.Errorf("%w: %q", ErrUnknownAgent, c.AgentID)
	}
	c.ID = "call_" + newID()
	c.Direction = telephony.Inbound
	c.Provider = provider.Name()
	c.CreatedAt = time.Now()
	first := life{Direction: telephony.Inbound, Dial: dialAccepted, Leg: c.ProviderCallID}
	l := s.newLive(c.Clone(), first, provider, agent)
	if err := s.admit(l); err != nil {
		s.release(lease)
		return nil, err
	}
	l.lease = lease
	key := legKey{c.Provider, c.ProviderCallID}
	if c.ProviderCallID != "" && !s.bind(l, key) {
		l.abandon()
		if other := s.findLeg(key); other != nil {
			return other, nil // the same webhook, delivered twice at once
		}
		return nil, ErrEnded
	}
	if _, err := l.create(ctx); err != nil {
		l.abandon()
		return nil, err
	}
	s.counts.received.Add(1)
	l.begin(input{kind: inAdmitted, leg: c.ProviderCallID})
	return l, nil
}

// picked answers a carrier whose callee has picked up. Some carriers report the
// end of a call at the same address.
func (s *Service) picked(ctx context.Context, provider Provider, id string, e telephony.Event) *telephony.Answer {
	l := s.find(id)
	if l == nil || l.carrier().Name() != provider.Name() {
		// Over, or never was. If it stands all the same it is ended: nobody would
		// talk to whoever picked up.
		s.log.Warn("carrier asks about a call that is not live", "call", id, "provider", provider.Name())
		return hangUp
	}
	if e.Status.Final() {
		return s.reported(ctx, provider, id, e)
	}
	// The stream that is answered with must find the carrier's id of its call.
	if err := l.ask(ctx, statusInput(inAsked, e)); err != nil {
		return hangUp
	}
	return l.answer()
}

// moving answers a carrier that asks what to do with a call that has left its
// stream: now that it has, or when the caller has come back.
func (s *Service) moving(ctx context.Context, provider Provider, id string, e telephony.Event, answer func(l *live) *telephony.Answer) *telephony.Answer {
	l := s.find(id)
	if l == nil || l.carrier().Name() != provider.Name() {
		return hangUp
	}
	if e.Status.Final() {
		return s.reported(ctx, provider, id, e) // the caller has hung up
	}
	return answer(l)
}

// answer tells the carrier to open the media stream.
func (l *live) answer() *telephony.Answer {
	c := l.snapshot()
	if c.State >= Ending {
		return hangUp
	}
	return l.streamAnswer(telephony.Answer{Say: l.say})
}

// streamAnswer adds a stream to what is to be done before it.
func (l *live) streamAnswer(a telephony.Answer) *telephony.Answer {
	a.Stream = l.newStream()
	if l.limits.grace > 0 {
		a.Next = l.webhook("next")
	}
	return &a
}

// newStream expects a media socket.
func (l *live) newStream() *telephony.StreamAnswer {
	token := l.svc.tokens.issue(l, time.Now())
	return &telephony.StreamAnswer{
		URL:       webSocketURL(l.svc.cfg.PublicURL) + "ws/stream/" + token,
		StatusURL: l.webhook("stream"),
	}
}

// webSocketURL turns http into ws and https into wss.
func webSocketURL(base string) string { return "ws" + base[len("http"):] }

// reported takes a carrier's report about a call.
func (s *Service) reported(ctx context.Context, provider Provider, id string, e telephony.Event) *telephony.Answer {
	l := s.find(id)
	if l == nil {
		l = s.findLeg(legKey{provider.Name(), e.ProviderCallID})
	}
	if l == nil || l.carrier().Name() != provider.Name() {
		return nothing // over, or not ours: nothing changes
	}
	if e.AnsweredBy != telephony.AnsweredByUnknown {
		l.pickedUpBy(e.AnsweredBy)
	}
	if e.StreamStatus == "" && e.Status != telephony.StatusUnknown {
		_ = l.post(ctx, statusInput(inReport, e)) // fails if the call is over: nothing to tell
	}
	return nothing
}

// release gives back the load that a call was to its agent.
func (s *Service) release(lease routing.Lease) {
	if lease == nil {
		return
	}
	err := s.do(context.Background(), releaseTimeout, func(context.Context) error { lease.Release(); return nil })
	if err != nil {
		s.log.Error("router's lease was not given back", "err", err)
	}
}
