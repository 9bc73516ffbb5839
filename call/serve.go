package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// agentTurn is the time for which one agent has a call.
type agentTurn struct {
	agent  Agent
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when Serve has returned
	over   bool          // it returned, or another agent has the call; guarded by live.mu
}

// ErrHandedOver is the cause of the end of an agent's context when another agent
// has its call; see context.Cause.
var ErrHandedOver = errors.New("call: handed over to another agent")

// serveAgent lets the agent talk, in a goroutine that may outlive the call if
// the agent ignores its context.
func (l *live) serveAgent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(nil)
}

// serve begins the turn of the call's agent, once that of the one before it is
// over or its grace has passed. The caller holds mu.
func (l *live) serve(before *agentTurn) {
	ctx, cancel := context.WithCancelCause(l.context())
	t := &agentTurn{agent: l.agent, cancel: cancel, done: make(chan struct{})}
	l.turn = t
	session := l.session
	session.host.Go(func() {
		defer cancel(nil)
		defer close(t.done)
		if before != nil {
			grace := time.NewTimer(l.svc.cfg.AgentGrace)
			defer grace.Stop()
			select {
			case <-before.done:
			case <-grace.C:
				l.log.Warn("agent has not returned from a call that another one has")
			}
		}
		in := input{kind: inAgentReturned}
		err := contain(func() error { return t.agent.Serve(ctx, session) })
		var p *panicError
		switch {
		case errors.As(err, &p):
			l.log.Error("agent panicked", "panic", p.value, "stack", p.stack)
			in.cause, in.detail = AgentPanic, "agent panicked"
		case err != nil && ctx.Err() == nil:
			in.cause, in.detail = AgentError, err.Error()
		}
		l.mu.Lock()
		other := t.over
		t.over = true
		l.mu.Unlock()
		if !other {
			l.tell(in)
		}
	})
}

// HandOver gives the call to another agent of Config.Agents, on the same stream:
// the caller hears nothing of it but the other voice. The context of the agent
// that has it ends with the cause ErrHandedOver, what it has said is still
// heard, and the other agent is served as soon as it has returned. The error
// wraps ErrUnknownAgent, ErrEnded, or telephony.ErrCallState if the agent has
// returned already.
func (s *Session) HandOver(agentID string) error {
	if err := s.live.handOver(agentID); err != nil {
		return fmt.Errorf("call: hand over: %w", err)
	}
	return nil
}

// HandOver is Session.HandOver.
func (s *Service) HandOver(ctx context.Context, id, agentID string) error {
	if _, err := s.order(ctx, order{Deed: deedHandOver, Call: id, AgentID: agentID}); err != nil {
		return fmt.Errorf("call: hand over: %w", err)
	}
	return nil
}

func (l *live) handOver(agentID string) error {
	agent, ok := l.svc.cfg.Agents[agentID]
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownAgent, agentID)
	}
	l.mu.Lock()
	t := l.turn
	switch {
	case l.record.State >= Ending || l.over:
		l.mu.Unlock()
		return ErrEnded
	case t == nil || t.over:
		l.mu.Unlock()
		return fmt.Errorf("no agent has the call: %w", telephony.ErrCallState)
	}
	t.over = true
	l.agent = agent
	l.record.AgentID = agentID
	t.cancel(ErrHandedOver)
	l.serve(t)
	l.mu.Unlock()
	l.emit(Event{Type: EventAgentChange, Name: agentID})
	if l.lease != nil {
		return l.svc.do(context.Background(), releaseTimeout, func(context.Context) error { l.lease.Move(agentID); return nil })
	}
	return nil
}
