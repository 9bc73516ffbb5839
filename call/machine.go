package call

import (
	"context"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// MachineOutcome is what became of a call that a machine had picked up.
type MachineOutcome string

// The outcomes; none for calls of people, and for agents that do not care.
const (
	// MessageLeft: all of the message was played after the beep.
	MessageLeft MachineOutcome = "message_left"
	// MessageUncertain: all of it was played, to a machine that did not beep.
	MessageUncertain MachineOutcome = "message_uncertain"
	// MessageCut: the call ended before the end of the message.
	MessageCut MachineOutcome = "message_cut"
	// MachineHungUp: there was no message to leave.
	MachineHungUp MachineOutcome = "hung_up"
)

// AnsweredBy waits until it is known who or what has picked up: by the carrier,
// where [Options.MachineDetection] asked it, or by a beep (see AwaitBeep). Some
// carriers tell of machines only. The error is that of ctx, or ErrEnded.
func (s *Session) AnsweredBy(ctx context.Context) (telephony.AnsweredBy, error) {
	for {
		who, news := s.live.answerer()
		if who != telephony.AnsweredByUnknown {
			return who, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return who, context.Cause(ctx)
		case <-s.live.ctx.Done():
			return who, ErrEnded
		}
	}
}

// answerer is who has picked up, and what is closed when somebody else seems to
// have.
func (l *live) answerer() (who telephony.AnsweredBy, news <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered == nil {
		l.answered = make(chan struct{})
	}
	return l.record.AnsweredBy, l.answered
}

// pickedUpBy notes who has, if that is news.
func (l *live) pickedUpBy(who telephony.AnsweredBy) {
	news := false
	l.update(func(c *Call) {
		machine := who == telephony.AnsweredByMachine && c.AnsweredBy == telephony.AnsweredByBeep // that is one, too
		news = c.AnsweredBy != who && !machine
		if !news {
			return
		}
		c.AnsweredBy = who
		if l.answered != nil {
			close(l.answered)
			l.answered = nil
		}
	})
	if news {
		l.emit(Event{Type: EventAnsweredBy, Name: string(who)})
	}
}

// AwaitBeep waits for the beep of an answering machine (see audio.BeepDetector),
// and returns when it ended on the media clock: the first one since AwaitBeep was
// first called on this call, at once if there was one already. The error is that
// of ctx, or ErrEnded.
func (s *Session) AwaitBeep(ctx context.Context) (time.Duration, error) {
	e := s.listenForBeep()
	for {
		heard, news := e.heard()
		if heard.beep > 0 {
			return heard.beep, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-s.live.ctx.Done():
			return 0, ErrEnded
		}
	}
}

// listenForBeep begins to, unless somebody has.
func (s *Session) listenForBeep() *ear {
	if e := s.media.ear.Load(); e != nil {
		return e
	}
	detector, err := audio.NewBeepDetector(s.format.Rate)
	if err != nil {
		panic("call: beep: " + err.Error()) // the stream's other detector has taken this rate
	}
	e := &ear{detector: detector, tones: make([]audio.Tone, 0, 4)}
	if !s.media.ear.CompareAndSwap(nil, e) {
		return s.media.ear.Load()
	}
	return e
}

// An ear listens to a machine, on the media path. A frame costs no allocation.
type ear struct {
	detector *audio.BeepDetector
	tones    []audio.Tone // scratch

	mu       sync.Mutex // guards what follows
	now      machineSound
	speaking bool
	news     chan struct{} // closed when there was a beep, or speech has begun or ended; nil if nobody waits
}

// machineSound is what was heard of a machine, on the media clock.
type machineSound struct {
	beep  time.Duration // the end of the first one; 0: none yet
	voice time.Duration // when it was last heard to speak; 0: not yet
}

// listen takes what was heard up to the media time end.
func (e *ear) listen(pcm []int16, end time.Duration, speaking bool) {
	e.tones = e.detector.Append(e.tones[:0], pcm)
	e.mu.Lock()
	defer e.mu.Unlock()
	beeped := len(e.tones) > 0 && e.now.beep == 0
	if beeped {
		e.now.beep = end
	}
	if speaking {
		e.now.voice = end
	}
	if (beeped || speaking != e.speaking) && e.news != nil {
		close(e.news)
		e.news = nil
	}
	e.speaking = speaking
}

// heard returns what was, and what is closed when there is more.
func (e *ear) heard() (machineSound, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news == nil {
		e.news = make(chan struct{})
	}
	return e.now, e.news
}
