package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service recognises speech and misbehaves as a test wants.
type service struct {
	life     time.Duration
	delay    time.Duration        // until a result is told
	open     func(nth int) error  // may refuse a stream
	stream   func(nth int) faults // of a stream
	keeps    bool                 // knows KeepAlive
	counters live.Counters

	mu      sync.Mutex
	streams int
	longest time.Duration // that a stream lasted
	alive   int           // KeepAlives
}

type faults struct {
	cut     time.Duration // after which the stream breaks, 0 is never
	deaf    time.Duration // after which it takes nothing
	mute    bool          // tells no results
	noFinal bool          // tells no final results
	twice   bool          // tells all results twice
	swap    bool          // tells finals in pairs, the later one first
	lies    bool          // tells results of what it has not been sent
}

func (s *service) open1(context.Context) (live.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nth := s.streams
	s.streams++
	if s.open != nil {
		if err := s.open(nth); err != nil {
			return nil, err
		}
	}
	st := &fakeStream{service: s, began: time.Now(), results: make(chan live.Result, 1000), done: make(chan struct{}),
		listeners: [2]livetest.Listener{{Track: audio.Inbound}, {Track: audio.Outbound}}}
	if s.stream != nil {
		st.faults = s.stream(nth)
	}
	if st.cut > 0 {
		time.AfterFunc(st.cut, st.Close)
	}
	return st, nil
}

func (s *service) session(t *transcript.Transcript) *live.Session {
	return live.New(live.Config{
		Service: "test", Tracks: 2, Counters: &s.counters, Open: s.open1, Life: s.life,
		Info: transcript.Info{CallID: "call", Format: audio.Telephone, Emit: t.Add},
	})
}

type fakeStream struct {
	*service
	faults
	began     time.Time
	listeners [2]livetest.Listener
	results   chan live.Result
	held      []live.Result
	once      sync.Once
	done      chan struct{}
}

var errBroken = errors.New("connection was broken")

func (s *fakeStream) Send(p []byte) error {
	if s.deaf > 0 && time.Since(s.began) > s.deaf {
		select {
		case <-time.After(5 * time.Second):
		case <-s.done:
		}
		return errBroken
	}
	side := make([]byte, len(p)/2)
	for track := range s.listeners {
		for i := range side {
			side[i] = p[2*i+track]
		}
		for _, r := range s.listeners[track].Hear(side) {
			s.tell(r)
		}
	}
	select {
	case <-s.done:
		return errBroken
	default:
		return nil
	}
}

func (s *fakeStream) tell(r live.Result) {
	switch {
	case s.mute, s.noFinal && r.Final:
		return
	case s.swap && r.Final:
		if s.held = append(s.held, r); len(s.held) == 2 {
			s.results <- s.held[1]
			s.results <- s.held[0]
			s.held = nil
		}
		return
	case s.lies:
		late := r
		late.Start += time.Hour
		late.End += time.Hour
		s.results <- late
		s.results <- live.Result{Track: 7, Final: true, End: 1}
		s.results <- live.Result{Start: 5, End: 1, Final: true}
	}
	s.results <- r
	if s.twice {
		s.results <- r
	}
}

func (s *fakeStream) KeepAlive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive++
	if !s.keeps {
		return errors.ErrUnsupported
	}
	return nil
}

func (s *fakeStream) Finish() error {
	for i := range s.listeners {
		for _, r := range s.listeners[i].Flush() {
			s.tell(r)
		}
	}
	for _, r := range s.held {
		s.results <- r
	}
	if !s.mute {
		close(s.results)
	}
	return nil
}

func (s *fakeStream) Receive() (live.Result, error) {
	select {
	case r, ok := <-s.results:
		if !ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.longest = max(s.longest, time.Since(s.began))
			return r, io.EOF
		}
		if s.delay > 0 {
			select {
			case <-time.After(s.delay):
			case <-s.done:
				return r, errBroken
			}
		}
		return r, nil
	case <-s.done:
		return live.Result{}, errBroken
	}
}

func (s *fakeStream) Close() { s.once.Do(func() { close(s.done) }) }

// call speaks a script to a session and returns the transcript, and what Close
// said after how long.
func call(s *service, script livetest.Script, length time.Duration) (tr *transcript.Transcript, took time.Duration, err error) {
	tr = &transcript.Transcript{}
	session := s.session(tr)
	script.Speak(session, 0, length)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	start := time.Now()
	err = session.Close(ctx)
	return tr, time.Since(start), err
}

func gaps(tr *transcript.Transcript) (n int, total time.Duration) {
	for _, s := range tr.Segments() {
		if s.Gap {
			n++
			total += s.End - s.At
		}
	}
	return n, total
}

// Whatever breaks, no word is lost or doubled as long as the tape reaches back.
func TestWordsAreKept(t *testing.T) {
	tests := []struct {
		name    string
		service *service
	}{
		{"a stream that lasts", &service{}},
		{"results that come late", &service{delay: 30 * time.Millisecond}},
		{"a stream that is cut every 3 seconds", &service{stream: func(int) faults { return faults{cut: 3 * time.Second} }}},
		{"streams that are cut at odd moments", &service{stream: func(n int) faults {
			return faults{cut: time.Duration(1000+n*777%4000) * time.Millisecond}
		}}},
		{"a service that is away for 3 seconds, again and again", &service{
			stream: func(n int) faults { return faults{cut: 10 * time.Second} },
			open: func(n int) error {
				if n%5 != 0 {
					return errors.New("no route")
				}
				return nil
			}}},
		{"a stream that takes nothing any more", &service{stream: func(n int) faults {
			if n == 0 {
				return faults{deaf: 7 * time.Second}
			}
			return faults{}
		}}},
		{"results that are told twice", &service{stream: func(int) faults { return faults{twice: true, cut: 9 * time.Second} }}},
		{"finals out of order", &service{stream: func(int) faults { return faults{swap: true} }}},
		{"results of what was not sent", &service{stream: func(int) faults { return faults{lies: true} }}},
		{"streams that may not last", &service{life: 65 * time.Second}},
		{"a service that asks for time", &service{open: func(n int) error {
			if n == 0 {
				return &transcript.Error{Service: "test", Reason: transcript.ErrThrottled, Status: 429, RetryAfter: 4 * time.Second}
			}
			return nil
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := livetest.Talk(2*time.Minute, 1)
				tr, took, err := call(tt.service, script, 2*time.Minute)
				if err != nil {
					t.Errorf("Close: %v", err)
				}
				if off := script.Check(t, tr); off > time.Millisecond {
					t.Errorf("times of words are off by %v", off)
				}
				if n, d := gaps(tr); n > 0 {
					t.Errorf("%d gaps, %v together", n, d)
				}
				for _, s := range tr.Segments() {
					if !s.Final {
						t.Errorf("%+v is not final", s)
					}
				}
				if took > 5*time.Second {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}

// Property: streams are cut and refused at random, results come late and twice;
// words that go in come out, in order, once.
func TestWordsAreKeptWhateverHappens(t *testing.T) {
	for seed := range uint64(100 / fewer) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			s := &service{
				delay: time.Duration(r.IntN(3)) * 20 * time.Millisecond,
				life:  time.Duration(r.IntN(2)) * 62 * time.Second,
				stream: func(int) faults {
					return faults{cut: time.Duration(1+r.IntN(8000)) * time.Millisecond, twice: r.IntN(2) == 0, swap: r.IntN(4) == 0}
				},
				open: func(n int) error {
					if n%3 != 0 && r.IntN(2) == 0 {
						return errors.New("no route")
					}
					return nil
				},
			}
			script := livetest.Talk(40*time.Second, seed)
			tr, _, err := call(s, script, 40*time.Second)
			script.Check(t, tr)
			if n, _ := gaps(tr); n > 0 || err != nil {
				t.Errorf("seed %d: %d gaps, %v", seed, n, err)
			}
		})
	}
}

func TestGapsAreMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := time.Now().Add(20 * time.Second)
		up := down.Add(30 * time.Second)
		s := &service{
			stream: func(n int) faults {
				if n == 0 {
					return faults{cut: time.Until(down)}
				}
				return faults{}
			},
			open: func(int) error {
				if now := time.Now(); now.After(down) && now.Before(up) {
					return errors.New("no route")
				}
				return nil
			},
		}
		script := livetest.Talk(90*time.Second, 3)
		tr, _, err := call(s, script, 90*time.Second)
		if err != nil {
			t.Errorf("Close: %v", err)
		}
		n, _ := gaps(tr)
		if n != 2 {
			t.Errorf("%d gaps, want one for each side", n)
		}
		for _, g := range tr.Segments() {
			if !g.Gap {
				continue
			}
			if g.At < 15*time.Second || g.At > 20*time.Second || g.End < 38*time.Second || g.End > 50*time.Second {
				t.Errorf("gap of %s is from %v to %v", g.Speaker, g.At, g.End)
			}
			// Words outside of gaps are all there.
			for _, w := range script {
				if side(w.Track) == g.Speaker && (w.End < g.At || w.At > g.End) && !hears(tr, w) {
					t.Errorf("%v at %v of %s is missing", w.Text(), w.At, g.Speaker)
				}
			}
		}
		if st := s.counters.Stats(); st.Missed == 0 || st.Failures == 0 || st.Calls != 1 {
			t.Errorf("counted %+v", st)
		}
	})
}

func side(t audio.Track) transcript.Speaker {
	if t == audio.Outbound {
		return transcript.Agent
	}
	return transcript.Customer
}

func hears(tr *transcript.Transcript, w livetest.Word) bool {
	for _, s := range tr.Segments() {
		for _, got := range s.Words {
			if s.Speaker == side(w.Track) && got.Text == w.Text() && (got.At-w.At).Abs() < 10*time.Millisecond {
				return true
			}
		}
	}
	return false
}

func TestRefusalIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{open: func(int) error {
			return &transcript.Error{Service: "test", Reason: transcript.ErrAuth, Status: 401}
		}}
		tr, took, err := call(s, livetest.Talk(20*time.Second, 1), 20*time.Second)
		if !errors.Is(err, transcript.ErrAuth) || took > time.Millisecond {
			t.Errorf("Close: %v after %v", err, took)
		}
		if n, d := gaps(tr); s.streams != 1 || n != 2 || d != 40*time.Second {
			t.Errorf("%d streams, %d gaps of %v", s.streams, n, d)
		}
	})
}

// F74.
func TestNoLastResults(t *testing.T) {
	for name, f := range map[string]faults{"no finals": {noFinal: true}, "no results": {mute: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{stream: func(int) faults { return f }}
				if f.noFinal {
					s.delay = 10 * time.Millisecond
				}
				script := livetest.Script{{N: 1, At: time.Second, End: 1200 * time.Millisecond}}
				tr, took, err := call(s, script, 3*time.Second)
				if took > 5*time.Second {
					t.Errorf("Close took %v", took)
				}
				if f.mute {
					if n, _ := gaps(tr); err == nil || n != 2 {
						t.Errorf("%d gaps, %v", n, err)
					}
					return
				}
				if segs := tr.Segments(); len(segs) != 1 || segs[0].Text != "w1" || segs[0].Final {
					t.Errorf("kept %+v", segs)
				}
			})
		})
	}
}

// F71: 1,000 hang-ups soon after the last word.
func TestLastWordsAreKept(t *testing.T) {
	kept := 0
	const n = 1000 / fewer
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			s := &service{delay: time.Duration(i%7) * 50 * time.Millisecond}
			script := livetest.Script{{N: 1 + i%livetest.Words, At: 500 * time.Millisecond, End: 800 * time.Millisecond}}
			tr, _, err := call(s, script, 800*time.Millisecond+time.Duration(i*300/n)*time.Millisecond)
			if segs := tr.Segments(); err == nil && len(segs) == 1 && segs[0].Final && segs[0].Text == script[0].Text() {
				kept++
			}
		})
	}
	if kept != n {
		t.Errorf("the last words were kept %d times of %d", kept, n)
	}
}

func TestCallerWhoIsAway(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprintf("KeepAlive %v", keeps), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{keeps: keeps}
				script := append(livetest.Talk(20*time.Second, 1), livetest.Word{N: 7, At: 301 * time.Second, End: 301400 * time.Millisecond})
				var tr transcript.Transcript
				session := s.session(&tr)
				script.Speak(session, 0, 20*time.Second)
				time.Sleep(280 * time.Second)
				script.Speak(session, 300*time.Second, 302*time.Second)
				if err := session.Close(t.Context()); err != nil {
					t.Error(err)
				}
				script.Check(t, &tr)
				if n, _ := gaps(&tr); n > 0 || s.streams != 2 {
					t.Errorf("%d gaps, %d streams", n, s.streams)
				}
				if keeps != (s.alive > 50) {
					t.Errorf("%d messages to keep alive", s.alive)
				}
			})
		})
	}
}

func TestStreamsAreReplacedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{life: 290 * time.Second}
		script := livetest.Talk(20*time.Minute, 9)
		tr, _, err := call(s, script, 20*time.Minute)
		script.Check(t, tr)
		if err != nil || s.longest > 290*time.Second || s.streams < 5 || s.streams > 6 {
			t.Errorf("%d streams, the longest lasted %v: %v", s.streams, s.longest, err)
		}
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{open: func(int) error { return errors.New("no route") }}
		session := s.session(&transcript.Transcript{})
		livetest.Talk(time.Second, 1).Speak(session, 0, time.Second)
		start := time.Now()
		err := session.Close(context.Background())
		if took := time.Since(start); err == nil || took != 10*time.Second {
			t.Errorf("Close: %v after %v", err, took)
		}
		if again := session.Close(context.Background()); again != err {
			t.Errorf("Close again: %v", again)
		}
	})
}

func TestWriteFrameAllocatesNothing(t *testing.T) {
	s := &service{open: func(int) error { return errors.New("no route") }}
	session := s.session(&transcript.Transcript{})
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = session.Close(ctx)
	}()
	f := livetest.Talk(time.Second, 1).Frame(audio.Inbound, 0)
	if n := testing.AllocsPerRun(1000, func() {
		session.WriteFrame(f)
		f.At += f.Duration()
	}); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

func BenchmarkWriteFrame(b *testing.B) {
	s := &service{open: func(int) error { return errors.New("no route") }}
	session := s.session(&transcript.Transcript{})
	f := livetest.Talk(time.Second, 1).Frame(audio.Inbound, 0)
	b.ReportAllocs()
	for b.Loop() {
		session.WriteFrame(f)
		f.At += f.Duration()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = session.Close(ctx)
}
