package call

import (
	"context"
	"errors"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ErrMachine is the cause of the end of an agent's context when a machine has
// picked up; see Voicemail and context.Cause.
var ErrMachine = errors.New("call: a machine has picked up")

// Voicemail is an Agent for placed calls that a machine may pick up. Its Agent
// talks at once, to whoever it is. As soon as the carrier finds that it is a
// machine, or a beep tells so, that Agent's context ends with the cause
// ErrMachine, and it must return. What it has said goes on being heard until the
// beep, so a person who was taken for a machine hears the greeting. Then the
// message is left, and the call hung up. What became of it is in Call.Machine.
//
// Set [Options.MachineDetection] for the carrier's word; where it finds a person,
// no beep is listened for any more.
type Voicemail struct {
	// Agent talks to people. Needed.
	Agent Agent
	// Message returns what is left for c on a machine: a new reader each time. It
	// is heard from the beep on, and nothing interrupts it. Nil: machines are hung
	// up on. If it fails, so does the agent.
	Message func(ctx context.Context, c *Call) (Utterance, error)
	// Silence is how long a machine must have been silent for the message to begin
	// without a beep. Zero: 3 seconds.
	Silence time.Duration
	// Wait is how long it may talk, from when it is known that it is a machine,
	// until the message begins all the same. Zero: 45 seconds.
	Wait time.Duration
	// Listen is until when, from the beginning of the call, a beep alone tells that
	// it is a machine. Zero: 45 seconds. Negative: never.
	Listen time.Duration
}

const (
	machineSilence = 3 * time.Second
	machineWait    = 45 * time.Second
)

// Serve implements [Agent].
func (v Voicemail) Serve(ctx context.Context, s *Session) error {
	if v.Agent == nil {
		return errors.New("call: Voicemail: Agent is nil")
	}
	e := s.listenForBeep()
	agent, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	served := make(chan error, 1)
	s.host.Go(func() { served <- v.greet(agent, s) })
	if machine, err := v.machine(s, e, served); !machine {
		return err
	}
	known := s.Now()
	stop(ErrMachine)
	grace := time.NewTimer(s.live.svc.cfg.AgentGrace)
	defer grace.Stop()
	select {
	case err := <-served: // that of its context, or as good
		s.live.log.Debug("agent has left a machine", "err", err)
	case <-grace.C:
		s.live.log.Warn("agent has not returned from a call that a machine has picked up")
	}
	return v.leave(ctx, s, e, known)
}

// greet has the agent talk, and what it says heard.
func (v Voicemail) greet(ctx context.Context, s *Session) error {
	if err := contain(func() error { return v.Agent.Serve(ctx, s) }); err != nil {
		return err
	}
	_ = s.Drain(ctx) // it ends with the call, or with ctx
	return nil
}

// machine reports true when it is known that a machine has picked up, or false
// when the agent has returned.
func (v Voicemail) machine(s *Session, e *ear, served <-chan error) (bool, error) {
	until := cmpOr(v.Listen, machineWait)
	for {
		who, news := s.live.answerer()
		sound, sounds := e.heard()
		switch {
		case who == telephony.AnsweredByHuman:
			sounds = nil
		case who != telephony.AnsweredByUnknown:
			return true, nil
		case sound.beep > 0 && sound.beep <= until:
			s.live.pickedUpBy(telephony.AnsweredByBeep)
			return true, nil
		}
		select {
		case err := <-served:
			return false, err
		case <-news:
		case <-sounds:
		}
	}
}

// leave leaves the message of a machine that was known to be one at a media time.
func (v Voicemail) leave(ctx context.Context, s *Session, e *ear, known time.Duration) error {
	if who, _ := s.live.answerer(); v.Message == nil || who == telephony.AnsweredByFax {
		s.Clear()
		s.machineWas(MachineHungUp)
		return nil
	}
	beeped, err := v.await(ctx, s, e, known)
	if err != nil {
		return err
	}
	message, err := v.say(ctx, s)
	if err == nil && !beeped && beepsDuring(message, e) {
		beeped = true
		message, err = v.say(ctx, s)
	}
	if err != nil {
		return err
	}
	heard, err := message.Wait(context.WithoutCancel(ctx)) // the end of the call ends it
	switch {
	case err != nil:
		return err
	case heard.Status == HeardCut:
		s.machineWas(MessageCut)
	case beeped:
		s.machineWas(MessageLeft)
	default:
		s.machineWas(MessageUncertain)
	}
	return nil
}

// await waits until the message is to begin, and reports whether that is after a
// beep.
func (v Voicemail) await(ctx context.Context, s *Session, e *ear, known time.Duration) (beeped bool, err error) {
	for {
		who, news := s.live.answerer()
		sound, sounds := e.heard()
		if who == telephony.AnsweredByBeep || sound.beep > 0 {
			return true, nil
		}
		begin := known + cmpOr(v.Silence, machineSilence)
		if sound.voice > 0 {
			begin = sound.voice + cmpOr(v.Silence, machineSilence)
		}
		wait := min(begin, known+cmpOr(v.Wait, machineWait)) - s.Now()
		if wait <= 0 {
			return false, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-news:
		case <-sounds:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		timer.Stop()
		if err != nil {
			return false, err
		}
	}
}

// say begins the message. What was being said before is cut off.
func (v Voicemail) say(ctx context.Context, s *Session) (*Speech, error) {
	message, err := v.Message(ctx, s.Call())
	if err != nil {
		return nil, err
	}
	message.Protected = true
	s.Clear()
	return s.Say(message), nil
}

// beepsDuring reports whether there is a beep before the message, which was begun
// without one, has been heard.
func beepsDuring(message *Speech, e *ear) bool {
	for {
		sound, sounds := e.heard()
		if sound.beep > 0 {
			return true
		}
		select {
		case <-sounds:
		case <-message.Done():
			return false
		}
	}
}

// machineWas notes what became of a call that a machine had picked up.
func (s *Session) machineWas(o MachineOutcome) {
	s.live.update(func(c *Call) { c.Machine = o })
	s.live.emit(Event{Type: EventMachine, Name: string(o)})
}
