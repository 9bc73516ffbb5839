package call

import (
	"context"

	"github.com/switchboard-voice/switchboard/audio"
)

// Agent talks on calls.
//
// Serve is called once for each call, as soon as its audio flows, each time in
// a goroutine of its own. When it returns nil, what it has said is still played
// to its end, and then the call is hung up; with an error the call is hung up at
// once. ctx ends when the call does, with the cause from context.Cause; Serve
// must then return soon. A panic ends the call, and no other.
type Agent interface {
	Serve(ctx context.Context, s *Session) error
}

// AgentFunc makes an Agent of a function.
type AgentFunc func(ctx context.Context, s *Session) error

// Serve calls fn.
func (fn AgentFunc) Serve(ctx context.Context, s *Session) error { return fn(ctx, s) }

// Agents are the agents of a service by name.
type Agents map[string]Agent

// Echo is an Agent that says back what it hears, sample for sample.
var Echo Agent = AgentFunc(func(_ context.Context, s *Session) error {
	line := s.Line(s.Format().Rate)
	_, err := audio.Copy(line, line)
	return err
})
