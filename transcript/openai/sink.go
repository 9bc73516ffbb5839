package openai

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/tape"
)

const (
	tapeLength = 5 * time.Second
	chunk      = 100 * time.Millisecond
	lull       = 300 * time.Millisecond
	// maxQueue bounds what waits for its turn, of both sides. Above it the oldest
	// is given up.
	maxQueue = time.Minute
	// closeLimit bounds Close.
	closeLimit = time.Minute
)

var errSlow = errors.New("service is too slow")

// sink listens to one call.
type sink struct {
	requester *requester
	info      transcript.Info
	parallel  int
	tape      *tape.Tape
	ctx       context.Context
	cancel    context.CancelCauseFunc
	once      sync.Once
	done      chan struct{}
	err       error // valid when done is closed

	// Of run alone.
	cutters []*cutter
	pos     int64
	queue   []*utterance    // not yet asked about
	told    [2][]*utterance // not yet told, in order, of each side
	number  [2]int          // of segments
	asked   int             // requests under way
	heard   chan *utterance // answers
}

func newSink(r *requester, info transcript.Info, tracks, parallel int) *sink {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &sink{
		requester: r, info: info, parallel: parallel, tape: tape.New(info.Format, tracks, tapeLength, chunk),
		ctx: ctx, cancel: cancel, done: make(chan struct{}), heard: make(chan *utterance, parallel),
	}
	for track := range tracks {
		c, err := newCutter(audio.Track(track), info.Format.Rate)
		if err != nil {
			panic(err) // the rate was looked at before
		}
		s.cutters = append(s.cutters, c)
	}
	r.counters.Calls.Add(1)
	go s.run()
	return s
}

// WriteFrame takes a frame of the call. It allocates nothing.
func (s *sink) WriteFrame(f *audio.Frame) { s.tape.WriteFrame(f) }

// Close waits for the answers that are due, but no longer than a minute.
func (s *sink) Close(ctx context.Context) error {
	s.once.Do(s.tape.Close)
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel(context.Cause(ctx))
		<-s.done
	}
	return s.err
}

// run cuts what comes and has it transcribed, until the end of the call.
func (s *sink) run() {
	defer close(s.done)
	defer s.cancel(nil)
	buf := make([]byte, int(s.tape.Position(chunk))*s.tape.Width())
	stop := time.NewTimer(lull)
	defer stop.Stop()
	all := false
	for {
		if s.read(buf, all) {
			stop.Reset(lull)
		}
		all = false
		s.ask()
		if s.tape.Closed() && s.asked == 0 && len(s.queue) == 0 && s.pos >= s.tape.Ready() {
			break
		}
		select {
		case <-s.tape.News():
		case <-stop.C:
			all = true
		case u := <-s.heard:
			s.asked--
			s.take(u)
		}
	}
	s.requester.counters.Late(s.tape.Dropped())
}

// read reads what is new, as tape.Tape.Read does. It reports whether there was
// anything.
func (s *sink) read(buf []byte, whole bool) (found bool) {
	var all, one []int16 // samples
	for {
		n, lost := s.tape.Read(buf, s.pos, whole)
		hole := s.tape.Hole()
		switch {
		case lost:
			oldest, _ := s.tape.Range()
			s.leap(oldest)
			continue
		case n == 0 && hole.From == s.pos && hole.To > s.pos:
			s.leap(hole.To)
			continue
		case n == 0:
			if s.tape.Closed() && s.pos >= s.tape.Ready() {
				s.leap(s.pos)
			}
			return found
		}
		found = true
		s.pos += int64(n)
		all = audio.AppendDecode(all[:0], s.info.Format.Encoding, buf[:n*s.tape.Width()])
		for i, c := range s.cutters {
			one = side(one[:0], all, i, len(s.cutters))
			s.queued(c.add(nil, one))
		}
	}
}

// side takes the samples of one track out of those of all.
func side(dst, all []int16, track, tracks int) []int16 {
	for i := track; i < len(all); i += tracks {
		dst = append(dst, all[i])
	}
	return dst
}

// leap ends what is being said and goes on at a position.
func (s *sink) leap(to int64) {
	s.pos = to
	for _, c := range s.cutters {
		s.queued(c.flush(nil, to))
	}
}

// queued takes utterances, and gives the oldest up if too many wait.
func (s *sink) queued(us []*utterance) {
	for _, u := range us {
		s.queue = append(s.queue, u)
		s.told[u.track] = append(s.told[u.track], u)
	}
	for len(s.queue) > 1 && s.waiting() > maxQueue {
		u := s.queue[0]
		s.queue = s.queue[1:]
		u.err = unavailable(0, errSlow)
		s.take(u)
	}
}

func (s *sink) waiting() (d time.Duration) {
	for _, u := range s.queue {
		d += u.end() - u.start()
	}
	return d
}

// ask has as many utterances transcribed at once as are allowed.
func (s *sink) ask() {
	for len(s.queue) > 0 && s.asked < s.parallel {
		u := s.queue[0]
		s.queue = s.queue[1:]
		s.asked++
		go func() {
			s.requester.hear(s.ctx, u)
			s.heard <- u // which has room for all of them
		}()
	}
}

// take tells what was heard, and all after it that has waited for it.
func (s *sink) take(u *utterance) {
	if u.err != nil {
		s.err = cmp.Or(s.err, u.err)
		if errors.Is(u.err, transcript.ErrAuth) {
			s.cancel(u.err) // there is no use in going on
		}
	}
	u.finished = true
	for t := &s.told[u.track]; len(*t) > 0 && (*t)[0].finished; *t = (*t)[1:] {
		s.tell((*t)[0])
	}
}

func (s *sink) tell(u *utterance) {
	if seg, ok := u.segment(); ok {
		if seg.Gap {
			s.requester.counters.Missed(seg.End - seg.At)
		}
		seg.ID = strconv.Itoa(s.number[u.track])
		s.number[u.track]++
		s.info.Emit(seg)
	}
}

// segment is an utterance whose result is known, if anything was said.
func (u *utterance) segment() (transcript.Segment, bool) {
	seg := transcript.Segment{Speaker: transcript.Customer, At: u.start(), End: u.end(), Final: true}
	if u.track == audio.Outbound {
		seg.Speaker = transcript.Agent
	}
	if u.err != nil {
		seg.Gap = true
		return seg, true
	}
	seg.Text, seg.Confidence = u.result.text, u.result.confidence
	for _, w := range u.result.words {
		w.At += u.start()
		w.End += u.start()
		seg.Words = append(seg.Words, w)
	}
	if n := len(seg.Words); n > 0 {
		seg.At, seg.End = seg.Words[0].At, max(seg.Words[n-1].End, seg.Words[0].At)
	}
	return seg, seg.Text != ""
}
