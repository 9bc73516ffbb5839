package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Hold puts the caller on hold: what the agent was saying is cut off, what it
// says meanwhile waits, and neither hears the other; keys are delivered. The
// caller hears music to its end (see audio.Loop), or Config.HoldSound if it is
// nil. The stream, the recording and the limit on the call's length go on, but
// silence does not count. The error wraps telephony.ErrCallState if the caller
// is on hold already, or is ErrEnded.
func (s *Session) Hold(music audio.Reader) error {
	if err := s.hold(music); err != nil {
		return fmt.Errorf("call: hold: %w", err)
	}
	return nil
}

func (s *Session) hold(music audio.Reader) error {
	if music == nil {
		var err error
		music, err = within(s.live.ctx, s.live.svc, startTimeout, func(context.Context) (audio.Reader, error) {
			return s.live.svc.cfg.HoldSound(s.format.Rate), nil
		}, nil)
		if err != nil {
			return fmt.Errorf("HoldSound: %w", err)
		}
	}
	p := &Speech{session: s, utterance: Utterance{Audio: music, Background: true}, done: make(chan struct{})}
	if err := s.player.hold(p); err != nil {
		_ = p.close() // there is another error to tell
		return err
	}
	s.media.held.Store(true)
	s.live.update(func(c *Call) { c.OnHold = true })
	s.live.emit(Event{Type: EventHold, Name: "on"})
	return nil
}

// Resume ends Hold, and lets what the agent has said meanwhile be heard. The
// error wraps telephony.ErrCallState if the caller is not on hold.
func (s *Session) Resume() error {
	if err := s.resume(); err != nil {
		return fmt.Errorf("call: resume: %w", err)
	}
	return nil
}

func (s *Session) resume() error {
	if err := s.player.unhold(); err != nil {
		return err
	}
	s.media.held.Store(false)
	s.live.update(func(c *Call) { c.OnHold = false })
	s.live.emit(Event{Type: EventHold, Name: "off"})
	return nil
}

// Hold is Session.Hold with Config.HoldSound.
func (s *Service) Hold(ctx context.Context, id string) error {
	if _, err := s.order(ctx, order{Deed: deedHold, Call: id}); err != nil {
		return fmt.Errorf("call: hold: %w", err)
	}
	return nil
}

// Resume is Session.Resume.
func (s *Service) Resume(ctx context.Context, id string) error {
	if _, err := s.order(ctx, order{Deed: deedResume, Call: id}); err != nil {
		return fmt.Errorf("call: resume: %w", err)
	}
	return nil
}

// inSession is the session of a call whose stream has begun.
func (l *live) inSession() (*Session, error) {
	session, c := l.currentSession(), l.snapshot()
	switch {
	case c.State >= Ending:
		return nil, ErrEnded
	case session == nil || c.State < Connected:
		return nil, fmt.Errorf("call is %v: %w", c.State, telephony.ErrCallState)
	}
	return session, nil
}

// HoldSound is what callers who wait hear by default: two soft tones every six
// seconds, which say that the line is alive and tire nobody.
func HoldSound(rate int) audio.Reader {
	return audio.Signal{
		Hertz:   []float64{523.25, 659.25},
		Cadence: []time.Duration{400 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 5 * time.Second},
	}.Reader(rate)
}

// hold lets the caller hear p, and nothing else.
func (q *player) hold(p *Speech) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		return ErrEnded
	case q.holding != nil:
		return fmt.Errorf("caller is on hold: %w", telephony.ErrCallState)
	}
	if !q.away {
		q.drained(q.conn().Clear())
	}
	q.holding = p
	q.tellChange()
	q.start()
	return nil
}

// unhold ends hold.
func (q *player) unhold() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.holding
	switch {
	case q.ended:
		return ErrEnded
	case p == nil:
		return fmt.Errorf("caller is not on hold: %w", telephony.ErrCallState)
	}
	q.holding = nil
	switch {
	case p.settled:
	case p.begun:
		q.fade()
	default:
		q.drop(p)
	}
	q.tellChange()
	q.start()
	return nil
}

// outlet is where a Line's sound goes at present: to conn, nowhere while the
// caller is on hold, and no further while the caller is away.
func (q *player) outlet() (conn *stream.Conn, held, away bool, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.conn(), q.holding != nil && !q.ended, q.away && !q.ended, q.changed
}

// write writes sound of a Line's.
func (s *Session) write(pcm []int16) (int, error) {
	taken := 0
	for {
		conn, held, away, changed := s.player.outlet()
		if held {
			t := time.NewTimer(audio.Duration(len(pcm)-taken, s.format.Rate))
			select {
			case <-t.C:
				return len(pcm), nil
			case <-changed:
				t.Stop()
				continue
			}
		}
		if !away {
			n, err := conn.Write(pcm[taken:])
			taken += n
			if errors.Is(err, stream.ErrCleared) && s.player.onHold() {
				continue
			}
			if !errors.Is(err, stream.ErrClosed) || s.player.over() {
				return taken, err
			}
		}
		<-changed // there will be another stream, or the end
	}
}

func (q *player) onHold() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.holding != nil
}

func (q *player) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}
