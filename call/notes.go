package call

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

// notes collects what is said on a call, as it may be kept: whatever comes out of
// here has passed Config.Redactor.
//
// With a Redactor, segments wait their turn, because those who bring them are on
// the media path or hold locks, and a Redactor is code of the host's. A goroutine
// asks it, and exists only while there is something to ask.
type notes struct {
	session *Session
	work    sync.WaitGroup // of that goroutine

	mu          sync.Mutex // guards what follows
	told, heard transcript.Transcript
	latencies   latencies     // of the recogniser: from the end of words to their text
	missing     time.Duration // what its gaps add up to
	closed      bool          // no more is kept

	redacts bool                                        // there is a Redactor; otherwise everything is kept as it is
	queue   []note                                      // at most maxNotes; the words of one more are withheld
	running bool                                        // there is a goroutine, which owns the rest
	redact  func(transcript.Segment) transcript.Segment // nil before the first segment
	stuck   bool                                        // a redactor has not returned; it is asked no more
	until   time.Time                                   // likewise from then on; guarded by mu
}

// note is a segment, and whether the recogniser has heard it, or the agent told
// it.
type note struct {
	transcript.Segment
	heard bool
}

const (
	maxNotes = 256
	// redactTime is how long a Redactor may take for a segment.
	redactTime = 250 * time.Millisecond
)

func (n *notes) init(s *Session) {
	n.session = s
	n.redacts = s.live.svc.cfg.Redactor != nil
}

// redaction begins with a call; it is nil without a Redactor.
func (s *Service) redaction() func(transcript.Segment) transcript.Segment {
	if s.cfg.Redactor == nil {
		return nil
	}
	redact, err := within(context.Background(), s, redactTime, func(context.Context) (func(transcript.Segment) transcript.Segment, error) {
		return s.cfg.Redactor.Redaction(), nil
	}, nil)
	if err != nil || redact == nil {
		s.log.Error("Redactor does not begin: all words are withheld", "err", err)
		return transcript.Segment.Withhold
	}
	return redact
}

// redacted asks a Redactor about a segment. If it fails the words are withheld.
func (s *Service) redacted(redact func(transcript.Segment) transcript.Segment, seg transcript.Segment) (transcript.Segment, error) {
	kept, err := within(context.Background(), s, redactTime, func(context.Context) (transcript.Segment, error) {
		return redact(seg), nil
	}, nil)
	if err != nil {
		s.counts.withheld.Add(1)
		return seg.Withhold(), err
	}
	return kept, nil
}

// tell takes words that an agent knows.
func (n *notes) tell(seg transcript.Segment) { n.add(note{seg, false}) }

// hear takes words that the recogniser has made out.
func (n *notes) hear(seg transcript.Segment) {
	n.mu.Lock()
	switch late := n.session.Now() - seg.End; {
	case seg.Gap:
		n.missing += max(0, seg.End-seg.At)
	case seg.Final && seg.Text != "":
		n.latencies.add(max(0, late))
	}
	n.mu.Unlock()
	n.add(note{seg, true})
}

// latency is how long it took until words were known: the median, and what only
// one in twenty took longer than.
func (n *notes) latency() (p50, p95 time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.latencies.percentiles()
}

func (n *notes) add(a note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
	case !n.redacts:
		n.keep(a)
	case len(n.queue) >= maxNotes:
		n.session.live.svc.counts.withheld.Add(1)
		a.Segment = a.Withhold()
		n.keep(a)
	default:
		n.queue = append(n.queue, a)
		if !n.running {
			n.running = true
			n.work.Go(n.run)
		}
	}
}

// run keeps what waits, as the Redactor leaves it.
func (n *notes) run() {
	for {
		n.mu.Lock()
		if len(n.queue) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		a := n.queue[0]
		n.queue = n.queue[1:]
		late := n.closed && !time.Now().Before(n.until)
		n.mu.Unlock()
		n.stuck = n.stuck || late
		a.Segment = n.redacted(a.Segment)
		n.mu.Lock()
		n.keep(a)
		n.mu.Unlock()
	}
}

func (n *notes) redacted(seg transcript.Segment) transcript.Segment {
	l := n.session.live
	if n.stuck {
		l.svc.counts.withheld.Add(1)
		return seg.Withhold()
	}
	if n.redact == nil {
		n.redact = l.svc.redaction()
	}
	kept, err := l.svc.redacted(n.redact, seg)
	if err != nil {
		l.log.Error("Redactor failed: words are withheld", "err", err)
		n.stuck = isLate(err)
	}
	return kept
}

// keep puts a segment into the transcript and tells of it. The caller holds mu.
func (n *notes) keep(a note) {
	t := &n.told
	if a.heard {
		t = &n.heard
	}
	t.Add(a.Segment)
	n.session.live.emit(Event{Type: EventTranscript, Segment: &a.Segment})
}

// close waits until all has been kept that was said, as much of it with its words
// as the Redactor gets through in d; what comes later is not kept.
func (n *notes) close(d time.Duration) {
	n.mu.Lock()
	n.closed, n.until = true, time.Now().Add(d)
	n.mu.Unlock()
	n.work.Wait()
}

// segments are what was said, in order.
func (n *notes) segments() []transcript.Segment {
	n.mu.Lock()
	defer n.mu.Unlock()
	return inOrder(n.told.Segments(), n.heard.Segments())
}

// inOrder merges what agents told and what was heard.
func inOrder(told, heard []transcript.Segment) []transcript.Segment {
	all := slices.Concat(told, heard)
	slices.SortStableFunc(all, func(a, b transcript.Segment) int { return cmp.Compare(a.At, b.At) })
	return all
}
