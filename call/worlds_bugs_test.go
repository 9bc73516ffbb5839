package call_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/transcript"
)

// bug is a mistake that is planted between the service and the world, to see that
// the judge finds it.
type bug int

const (
	noBug bug = iota
	dialsTwice
	hangupForgotten
	dialsAfterDrain
	eventForgotten
	endForgotten
	oldStateStored
	recoverForgets
	soundOfAnother
	soundForgotten
	soundAfterEnd
	wordForgotten
	wordTwice
	policyNotAsked
	bugs
)

var bugNames = [bugs]string{
	dialsTwice: "dials twice", hangupForgotten: "forgets to hang up", dialsAfterDrain: "dials after the drain",
	eventForgotten: "forgets an event", endForgotten: "forgets the end", oldStateStored: "stores an old state",
	recoverForgets: "forgets a call after a crash", soundOfAnother: "records another call", soundForgotten: "forgets a second of sound",
	soundAfterEnd: "records after the end", wordForgotten: "forgets a word", wordTwice: "keeps a word twice", policyNotAsked: "does not ask the policy",
}

// Each mistake that is planted is found within a few worlds.
func TestServiceWorldsCatchPlantedBugs(t *testing.T) {
	const most = 200
	for b := noBug + 1; b < bugs; b++ {
		t.Run(bugNames[b], func(t *testing.T) {
			for seed := uint64(1); seed <= most; seed++ {
				if w := makeWorld(t, seed, b); len(w.broken) > 0 {
					t.Logf("world %d: %s", seed, w.broken[0])
					return
				}
			}
			t.Errorf("not found in %d worlds", most)
		})
	}
}

// onTheWire makes the mistakes of requests to the carrier.
func (b bug) onTheWire(w *world, next http.RoundTripper) http.RoundTripper {
	if b != dialsTwice && b != hangupForgotten && b != dialsAfterDrain {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body) // from memory
		}
		send := func(ctx context.Context, method string) (*http.Response, error) {
			again := r.Clone(ctx)
			again.Method, again.Body = method, io.NopCloser(bytes.NewReader(body))
			return next.RoundTrip(again)
		}
		drop := func(ctx context.Context, method string) {
			if resp, err := send(ctx, method); err == nil {
				_ = resp.Body.Close()
			}
		}
		dials := r.Method == http.MethodPost && (strings.HasSuffix(r.URL.Path, "/Calls.json") || strings.HasSuffix(r.URL.Path, "/Call/"))
		switch {
		case b == dialsTwice && dials:
			drop(r.Context(), r.Method)
		case b == dialsAfterDrain && dials:
			w.around.Go(func() {
				<-w.over
				drop(context.Background(), r.Method)
			})
		case b == hangupForgotten && bytes.Contains(body, []byte("Status=completed")):
			body = nil
			return send(r.Context(), http.MethodGet)
		case b == hangupForgotten && r.Method == http.MethodDelete:
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
		}
		return send(r.Context(), r.Method)
	})
}

// onUpdate makes those of writes.
func (b bug) onUpdate(ctx context.Context, store call.Store, c *call.Call, events []call.Event) error {
	switch {
	case b == eventForgotten && len(events) > 1:
		events = events[1:]
	case b == endForgotten && c.State.Terminal():
		return nil
	case b == oldStateStored && c.State.Terminal():
		c = c.Clone()
		c.State = call.Failed
	}
	return store.Update(ctx, c, events)
}

// onRecord makes those of recordings.
func (b bug) onRecord(s *watchedSink) recording.Sink {
	switch b {
	case soundOfAnother, soundForgotten, soundAfterEnd:
		return &badSink{watchedSink: s, bug: b}
	}
	return s
}

type badSink struct {
	*watchedSink
	bug bug
}

func (s *badSink) WriteFrame(f *audio.Frame) {
	switch {
	case s.bug == soundOfAnother && f.At > time.Second:
		other := *f
		other.PCM = make([]int16, len(f.PCM))
		_, _ = mark(personMark(9), f.Duration()).ReadPCM(other.PCM)
		f = &other
	case s.bug == soundForgotten && f.At > 500*time.Millisecond && f.At < 1500*time.Millisecond:
		return
	}
	s.watchedSink.WriteFrame(f)
}

func (s *badSink) Close(ctx context.Context, end time.Duration) (recording.Recording, error) {
	rec, err := s.watchedSink.Close(ctx, end)
	if s.bug == soundAfterEnd {
		s.WriteFrame(&audio.Frame{})
	}
	return rec, err
}

// onWord makes those of words.
func (b bug) onWord(e *ear, s transcript.Segment) {
	switch {
	case b == wordForgotten && e.words == 2:
		return
	case b == wordTwice:
		again := s
		again.ID = ""
		e.info.Emit(again)
	}
	e.info.Emit(s)
}
