package call

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// PauseRecording keeps what follows from everybody but the agent, so that a
// caller can tell it the number of a card: recorder and recogniser hear silence,
// of its right length, and recordings that the carrier makes are paused with it.
// Keys that the caller presses reach the agent, and stand in the events without
// their Key. Words of the agent's, those that it adds included, are left out of
// the transcript as far as they fall into the pause. What the agent writes to
// Log, or keeps itself, is its own affair.
//
// The pause begins with the first sound that arrives after the call of this
// method, and ends with the first that was made after that of ResumeRecording: a
// carrier that delivers late delivers into the pause. It holds across streams,
// until the end of the call. To pause again is no error.
//
// If the error is not ErrEnded, ours is paused, and a recording of the carrier's
// is not; errors.ErrUnsupported says that the carrier cannot. Asking again asks
// the carrier again.
func (s *Session) PauseRecording(ctx context.Context) error {
	if err := s.pauseRecording(ctx); err != nil {
		return fmt.Errorf("call: pause recording: %w", err)
	}
	return nil
}

func (s *Session) pauseRecording(ctx context.Context) error {
	first, err := s.setPaused(true)
	if err != nil {
		return err
	}
	if first {
		s.live.emit(Event{Type: EventPause, Name: "on"})
	}
	return s.eachCarrierRecording(ctx, telephony.CallRecorder.PauseRecording)
}

// ResumeRecording ends PauseRecording: first at the carrier, and if that fails
// the pause goes on. Without a pause it does nothing.
func (s *Session) ResumeRecording(ctx context.Context) error {
	if err := s.resumeRecording(ctx); err != nil {
		return fmt.Errorf("call: resume recording: %w", err)
	}
	return nil
}

func (s *Session) resumeRecording(ctx context.Context) error {
	if !s.live.snapshot().RecordingPaused {
		return nil
	}
	if err := s.eachCarrierRecording(ctx, telephony.CallRecorder.ResumeRecording); err != nil {
		return err
	}
	last, err := s.setPaused(false)
	if last {
		s.live.emit(Event{Type: EventPause, Name: "off"})
	}
	return err
}

// PauseRecording is Session.PauseRecording.
func (s *Service) PauseRecording(ctx context.Context, id string) error {
	if _, err := s.order(ctx, order{Deed: deedPauseRecording, Call: id}); err != nil {
		return fmt.Errorf("call: pause recording: %w", err)
	}
	return nil
}

// ResumeRecording is Session.ResumeRecording.
func (s *Service) ResumeRecording(ctx context.Context, id string) error {
	if _, err := s.order(ctx, order{Deed: deedResumeRecording, Call: id}); err != nil {
		return fmt.Errorf("call: resume recording: %w", err)
	}
	return nil
}

// setPaused begins or ends a pause, on the record too, and reports whether that
// changed anything.
func (s *Session) setPaused(paused bool) (changed bool, err error) {
	l := s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record.State >= Ending || l.final != nil {
		return false, ErrEnded
	}
	if l.record.RecordingPaused == paused {
		return false, nil
	}
	l.record.RecordingPaused = paused
	if paused {
		s.pauses.begin(s.Now())
	} else {
		s.pauses.end(s.Now())
	}
	l.writer.wake()
	return true, nil
}

// eachCarrierRecording does something with what the carrier records.
func (s *Session) eachCarrierRecording(ctx context.Context, do func(r telephony.CallRecorder, ctx context.Context, leg, id string) error) error {
	c := s.live.snapshot()
	var failed []error
	for _, r := range c.CarrierRecordings {
		if r.Status != telephony.RecordingInProgress {
			continue
		}
		recorder, ok := s.live.carrier().(telephony.CallRecorder)
		if !ok {
			failed = append(failed, errors.ErrUnsupported)
			continue
		}
		failed = append(failed, s.live.svc.do(ctx, requestTimeout, func(ctx context.Context) error {
			return do(recorder, ctx, c.ProviderCallID, r.ID)
		}))
	}
	return errors.Join(failed...)
}

// pauses are the stretches of a call that are not kept.
type pauses struct {
	// before is a moment of the media clock: sound that begins before it and has
	// not been kept yet, is not. It is forever while there is a pause.
	before atomic.Int64

	mu    sync.Mutex // guards what follows
	spans []span     // in order, which do not overlap
}

// span is a stretch of the media clock.
type span struct{ from, to time.Duration }

const (
	forever = time.Duration(math.MaxInt64)
	// maxPauses bounds what is remembered: of more pauses, the two first count as
	// one.
	maxPauses = 256
)

func (p *pauses) begin(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spans) == maxPauses {
		p.spans[1].from = p.spans[0].from
		p.spans = append(p.spans[:0], p.spans[1:]...)
	}
	p.spans = append(p.spans, span{now, forever})
	p.before.Store(int64(forever))
}

func (p *pauses) end(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans[len(p.spans)-1].to = now
	p.before.Store(int64(now))
}

// covers reports whether sound that begins at a moment is not to be kept.
func (p *pauses) covers(at time.Duration) bool { return int64(at) < p.before.Load() }

// first returns the first moment of a pause between from and to.
func (p *pauses) first(from, to time.Duration) (at time.Duration, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.spans {
		if from < s.to && s.from < max(to, from+1) {
			return max(from, s.from), true
		}
	}
	return 0, false
}

// hush makes silence of a frame that is not to be kept. Like every frame, it is
// lent until the next one.
func (m *media) hush(f *audio.Frame) *audio.Frame {
	h := &m.hushed
	pcm := h.PCM[:cap(h.PCM)]
	if len(pcm) < len(f.PCM) {
		pcm = make([]int16, len(f.PCM))
	}
	*h = audio.Frame{Track: f.Track, Format: f.Format, PCM: pcm[:len(f.PCM)], At: f.At, Filled: true}
	return h
}
