package callhttp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// endless is a body that goes on for as long as anybody reads it.
type endless struct {
	read *atomic.Int64
	left int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), e.left))
	if n == 0 {
		return 0, io.EOF
	}
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left -= int64(n)
	e.read.Add(int64(n))
	return n, nil
}

// Ten thousand requests at once, for calls, for streams and with bodies of 100 MB:
// there are as many calls and streams as may be, the rest is refused with the
// reason, of the bodies hardly anything is read, and somebody who talks on a call
// meanwhile is heard without a gap.
func TestFloodOfRequests(t *testing.T) {
	const (
		requests   = 10_000
		maxCalls   = 20
		maxStreams = 10
		huge       = 100 << 20
	)
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		b := setup(t, func(c *call.Config, cfg *Config) {
			c.PublicURL, c.Providers = calltest.PublicURL, []call.Provider{network.Provider}
			c.MaxCalls = maxCalls
			cfg.MaxStreams = maxStreams
		})
		network.Connect(b.svc)
		network.Carrier.Otherwise(sim.Behavior{Ring: time.Hour})
		network.Phone("+12025550123").Behave(sim.Behavior{Talk: func(k *sim.Talk) {
			_ = k.Say(audio.NewSamples(audiotest.Tone(440, 20*time.Second, 8000), 8000))
			k.Hangup()
		}})
		id := decode[placed](t, b.ask("acme", "POST", "/api/calls", ordinary), 201).CallID
		time.Sleep(5 * time.Second)

		var read atomic.Int64
		var mu sync.Mutex
		answers := make(map[int]int)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range requests {
			all.Go(func() {
				r := httptest.NewRequestWithContext(ctx, "POST", "/api/calls", strings.NewReader(strings.Replace(ordinary, "+12025550123", "+12025550188", 1)))
				switch i % 4 {
				case 0:
					r = httptest.NewRequestWithContext(ctx, "GET", "/api/events", nil)
				case 1:
					r = httptest.NewRequestWithContext(ctx, "POST", "/api/calls", &endless{&read, huge})
				}
				r.Header.Set("Authorization", "Bearer acme")
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				b.ServeHTTP(w, r)
				mu.Lock()
				defer mu.Unlock()
				answers[w.Code]++
				if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
					t.Error("refused without Retry-After")
				}
			})
		}
		synctest.Wait()
		if n := b.svc.Stats().Live; n != maxCalls {
			t.Errorf("%d calls are live, want %d", n, maxCalls)
		}
		c, err := b.svc.Wait(t.Context(), id)
		if err != nil || c.State != call.Completed || c.Cause != call.HangupRemote {
			t.Errorf("the call that lived ended %v, %q: %v", c.State, c.Cause, err)
		}
		if m := c.Metrics; m.FramesLost != 0 || m.FramesIn < 900 {
			t.Errorf("of the caller's sound %d frames came and %d were lost", m.FramesIn, m.FramesLost)
		}
		cancel()
		all.Wait()
		want := map[int]int{
			http.StatusCreated:               maxCalls - 1,
			http.StatusOK:                    maxStreams,
			http.StatusRequestEntityTooLarge: requests / 4,
		}
		want[http.StatusServiceUnavailable] = requests - want[201] - want[200] - want[413]
		for code, n := range want {
			if answers[code] != n {
				t.Errorf("%d were answered with %d, want %d", answers[code], code, n)
			}
		}
		if most := int64(requests / 4 * 2 * maxBody); read.Load() > most {
			t.Errorf("%d bytes were read of the huge ones, want at most %d", read.Load(), most)
		}
	})
}
