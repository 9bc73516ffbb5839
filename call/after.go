package call

import (
	"context"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

// What is done about a call after it has ended, and does not hold the end up: its
// transcript is made up for from its recording, and the host's Analyzer looks at
// it. What comes of it is written to the stored record, with an event.

const (
	// maxChores is how many calls may wait; one more is left as it is, and counted.
	maxChores = 10_000
	// choreTime bounds one try at one call.
	choreTime = 15 * time.Minute
	// analyzeTime bounds the Analyzer.
	analyzeTime = time.Minute
	// choreTries is how often a recording is transcribed if that fails, with pauses
	// of choreFirst between them, each four times as long as the one before.
	choreTries = 4
	choreFirst = 5 * time.Second
)

// chores are the calls about which there is something to be done. A few
// goroutines do it, and exist only while there is.
type chores struct {
	svc *Service

	mu      sync.Mutex // guards what follows
	queue   []*chore
	pending int // in the queue, being done, or waiting for another try
	running int // goroutines, which the service waits for

	ctx  context.Context // ends when what is not done is given up
	stop context.CancelFunc
}

// chore is one call.
type chore struct {
	id                    string
	stored                <-chan struct{}      // closed when the final record is, or was given up
	told                  []transcript.Segment // what its agent told
	retranscribe, analyze bool
	tries                 int
}

func (q *chores) init(s *Service) {
	q.svc = s
	q.ctx, q.stop = context.WithCancel(context.Background())
}

// add takes a call that is over.
func (q *chores) add(l *live) {
	c := l.snapshot()
	a := &chore{
		id:           l.id,
		stored:       l.writer.stored,
		retranscribe: q.svc.canRetranscribe(c),
		analyze:      q.svc.cfg.Analyzer != nil && !c.AnsweredAt.IsZero(),
	}
	if !a.retranscribe && !a.analyze {
		return
	}
	if session := l.currentSession(); session != nil {
		a.told = session.notes.told.Segments()
	} else {
		a.told = toldIn(c.Transcript)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ctx.Err() != nil || q.pending >= maxChores {
		q.svc.counts.afterwardsFailed.Add(1)
		return
	}
	q.pending++
	q.put(a)
}

// put lets a chore be done. The caller holds mu.
func (q *chores) put(a *chore) {
	q.queue = append(q.queue, a)
	if q.running < q.svc.cfg.AfterParallel {
		q.running++
		q.svc.calls.Go(q.run)
	}
}

func (q *chores) run() {
	for {
		a := q.next()
		if a == nil {
			return
		}
		again := q.svc.attend(a)
		if again {
			q.svc.calls.Go(func() { q.later(a) })
			continue
		}
		q.mu.Lock()
		q.pending--
		q.mu.Unlock()
	}
}

func (q *chores) next() *chore {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.running--
		return nil
	}
	a := q.queue[0]
	q.queue = q.queue[1:]
	return a
}

// later puts a chore back after a pause.
func (q *chores) later(a *chore) {
	pause := time.NewTimer(choreFirst << (2 * (a.tries - 1)))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-q.ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(a)
}

func (q *chores) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.pending)
}

// attend does what is to be done about a call. It reports whether to try again.
func (s *Service) attend(a *chore) (again bool) {
	select {
	case <-a.stored:
	case <-s.chores.ctx.Done():
	}
	if s.chores.ctx.Err() != nil {
		s.counts.afterwardsFailed.Add(1)
		return false
	}
	log := s.log.With("call", a.id)
	if a.retranscribe {
		a.tries++
		if err := s.retranscribe(a); err != nil {
			if a.tries < choreTries && !final(err) {
				log.Warn("transcript not made up for yet", "err", err)
				return true
			}
			log.Error("transcript not made up for", "err", err)
			s.counts.afterwardsFailed.Add(1)
			s.explain(a.id, err)
		}
		a.retranscribe = false
	}
	if a.analyze {
		if err := s.analyze(a.id); err != nil {
			log.Error("call not analyzed", "err", err)
			s.counts.afterwardsFailed.Add(1)
		}
	}
	return false
}
