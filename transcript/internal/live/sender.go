package live

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// What is soft may be cut, if it goes on for so long.
const (
	soft      = 400 // RMS
	quietest  = 300 * time.Millisecond
	quiet     = 100 * time.Millisecond
	lastPart  = time.Minute      // of a stream's life: it may end between words
	lastBreak = 10 * time.Second // and here in any pause
)

var (
	errBehind = errors.New("service is too far behind")
	errSilent = errors.New("no last results")
)

// A sender sends the tape to one stream.
type sender struct {
	session *Session
	stream  Stream
	base    int64      // where the stream begins
	settled []coverage // of each track: not sent again

	sent atomic.Int64 // pos, for others

	// Valid when run has ended.
	pos      int64 // how far the stream was sent
	finished bool  // and was told so
	err      error

	ears     []*ear
	pcm      []int16 // scratch
	softness int64   // positions of softness up to pos
}

// run sends until there is no more to send, and then waits until ctx ends. It
// returns an error if the stream is of no use any more.
func (o *sender) run(ctx context.Context) error {
	o.err = o.send(ctx)
	if o.err != nil || !o.finished {
		return o.err
	}
	select {
	case <-ctx.Done():
	case <-time.After(finishTimeout):
		o.err = o.unavailable(errSilent)
	}
	return o.err
}

func (o *sender) unavailable(err error) error {
	return &transcript.Error{Service: o.session.cfg.Service, Reason: transcript.ErrUnavailable, Err: err}
}

func (o *sender) send(ctx context.Context) error {
	t := o.session.tape
	buf := make([]byte, int(t.Position(burst))*t.Width())
	if err := o.listen(); err != nil {
		return err
	}
	began := time.Now()
	still, stop := time.NewTimer(idle), time.NewTimer(lull)
	defer still.Stop()
	defer stop.Stop()
	all := false
	for ctx.Err() == nil {
		n, lost := t.Read(buf, o.pos, all)
		switch {
		case lost:
			return o.unavailable(errBehind)
		case n > 0:
			p := buf[:n*t.Width()]
			o.mask(p)
			if err := o.stream.Send(p); err != nil {
				return err
			}
			o.pos += int64(n)
			o.sent.Store(o.pos)
			o.hush(p)
			still.Reset(idle)
			stop.Reset(lull)
			if o.session.cfg.Life > 0 && o.mayEnd(p, time.Since(began)) {
				return o.finish()
			}
			o.hold(ctx, int64(n))
			continue
		case o.atEnd():
			return o.finish()
		}
		all = false
		select {
		case <-t.News():
		case <-stop.C:
			all = true
		case <-o.session.closed:
		case <-still.C:
			err := o.stream.KeepAlive()
			if errors.Is(err, errors.ErrUnsupported) {
				return o.finish()
			}
			if err != nil {
				return err
			}
			still.Reset(idle)
		case <-ctx.Done():
		}
	}
	return nil
}

// hold keeps old sound from being sent all at once, unless the call is over.
func (o *sender) hold(ctx context.Context, n int64) {
	t := o.session.tape
	if _, head := t.Range(); n < t.Position(burst) || head-o.pos < t.Position(burst) {
		return
	}
	select {
	case <-time.After(t.Time(n) / pace):
	case <-o.session.closed:
	case <-ctx.Done():
	}
}

// atEnd reports whether the call is over, or a hole begins, at pos.
func (o *sender) atEnd() bool {
	t := o.session.tape
	if hole := t.Hole(); hole.From == o.pos && hole.To > o.pos {
		return true
	}
	_, head := t.Range()
	return t.Closed() && o.pos >= head
}

func (o *sender) finish() error {
	o.finished = true
	return o.stream.Finish()
}

// mask puts silence in place of what is settled.
func (o *sender) mask(p []byte) {
	t, e := o.session.tape, o.session.cfg.Info.Format.Encoding
	width, sample := int64(t.Width()), e.SampleBytes()
	end := o.pos + int64(len(p))/width
	for track, settled := range o.settled {
		for _, s := range settled {
			for pos := max(o.pos, t.Position(s.from)); pos < min(end, t.Position(s.to)); pos++ {
				at := int((pos-o.pos)*width) + track*sample
				for i := range sample {
					p[at+i] = e.Silence()
				}
			}
		}
	}
}

// mayEnd reports whether a stream of such an age had better end after p.
func (o *sender) mayEnd(p []byte, age time.Duration) bool {
	left := o.session.cfg.Life - age
	if left > lastPart {
		return false
	}
	o.pcm = audio.AppendDecode(o.pcm[:0], o.session.cfg.Info.Format.Encoding, p)
	if audio.RMS(o.pcm) > soft {
		o.softness = 0
	} else {
		o.softness += int64(len(p) / o.session.tape.Width())
	}
	silent := o.session.tape.Time(o.softness)
	switch {
	case left <= 0:
		return true
	case left <= lastBreak:
		return silent >= quiet
	}
	return silent >= quietest && !o.session.speaking()
}

// speaking reports whether there are interim results.
func (s *Session) speaking() (yes bool) {
	s.each(func(v *voice) { yes = yes || v.interim.Text != "" })
	return yes
}
