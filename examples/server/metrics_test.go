package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// hearer recognises a word, a while after it has begun.
type hearer struct{ emit func(transcript.Segment) }

func (hearer) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	return hearer{info.Emit}, nil
}

func (h hearer) WriteFrame(f *audio.Frame) {
	if f.Track == audio.Inbound && f.At == time.Second {
		h.emit(transcript.Segment{Speaker: transcript.Customer, Text: "Yes.", At: 0, End: time.Second / 2, Final: true})
	}
}

func (hearer) Close(context.Context) error { return nil }

// everything is the metrics of a server that has all there is, after two calls.
func everything(t *testing.T) string {
	t.Helper()
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	if m.desk, err = queue.New(queue.Config{
		Agents: call.Agents{"agent": call.Echo}, Queues: map[string]queue.Queue{"sales": {Agents: []string{"agent"}}},
	}); err != nil {
		t.Fatal(err)
	}
	m.spool = &recording.Spool{}
	network := calltest.NewNetwork(t)
	answer := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		time.Sleep(4 * time.Second) // the caller speaks
		s.Say(call.Utterance{Audio: audio.NewSamples(audiotest.Tone(440, time.Second, 8000), 8000)})
		return nil
	})
	m.svc, err = call.New(call.Config{
		PublicURL:   calltest.PublicURL,
		Providers:   []call.Provider{network.Provider},
		Agents:      call.Agents{"agent": answer},
		Transcriber: hearer{},
		Policy:      call.Destinations{AllowPrefixes: []string{"+1202"}},
		CallContext: m.telemetry.CallContext,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.campaigns, err = campaign.New(campaign.Config{Service: m.svc}); err != nil {
		t.Fatal(err)
	}
	network.Connect(m.svc)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		m.telemetry.Watch(ctx, m.svc)
	}()
	synctest.Wait()
	network.Phone("+12025550142").Behave(sim.Behavior{Talk: func(t *sim.Talk) {
		t.Listen(time.Second)
		_ = t.Say(audio.NewSamples(audiotest.Tone(500, time.Second, 8000), 8000))
	}})
	c, err := m.svc.Place(t.Context(), call.Request{
		AgentID: "agent", To: "+12025550142", From: calltest.Number, Options: call.Options{Transcribe: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = m.svc.Wait(t.Context(), c.ID); err != nil || c.State != call.Completed {
		t.Fatalf("%v, %v", c, err)
	}
	if _, err := m.svc.Place(t.Context(), call.Request{AgentID: "agent", To: "+13105550142", From: calltest.Number}); err == nil {
		t.Fatal("not refused")
	}
	synctest.Wait()
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	cancel()
	<-watched
	return w.Body.String()
}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := everything(t)
		there := make(map[string]bool)
		for _, name := range regexp.MustCompile(`(?m)^[a-z_]+`).FindAllString(text, -1) {
			there[name] = true
		}
		file, err := os.ReadFile("../../docs/grafana.json")
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(file, &board); err != nil {
			t.Fatal(err)
		}
		asked := make(map[string]bool)
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				for _, name := range regexp.MustCompile(`\b(switchboard|go)_[a-z_]+`).FindAllString(withoutLabels(target.Expr), -1) {
					asked[name] = true
					if !there[name] {
						t.Errorf("%q asks for %s, which is not there", panel.Title, name)
					}
				}
			}
		}
		if len(asked) < 30 {
			t.Errorf("the dashboard asks for %d metrics only: %v", len(asked), asked)
		}
		for name := range there {
			if strings.HasPrefix(name, "switchboard_call_") && strings.HasSuffix(name, "_bucket") && !asked[name] {
				t.Errorf("the dashboard does not show %s", name)
			}
		}
	})
}

// withoutLabels leaves of a query what is no label.
func withoutLabels(query string) string {
	query = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(query, "")
	return regexp.MustCompile(`by \([^)]*\)`).ReplaceAllString(query, "")
}

// away is a store that does not answer.
type away struct{ call.Store }

func (away) Get(context.Context, string) (*call.Call, error) { return nil, errors.New("no route") }

func TestReadyWhileCallsCanBeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		with := func(store call.Store) *server {
			svc, err := call.New(call.Config{
				PublicURL: calltest.PublicURL, Providers: []call.Provider{network.Provider},
				Agents: call.Agents{"echo": call.Echo}, Store: store,
			})
			if err != nil {
				t.Fatal(err)
			}
			return &server{svc: svc, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		}
		s := with(call.NewMemoryStore())
		if err := s.ready(t.Context()); err != nil {
			t.Error(err)
		}
		if err := with(away{call.NewMemoryStore()}).ready(t.Context()); err == nil {
			t.Error("ready without a store")
		}
		if err := s.svc.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.ready(t.Context()); err == nil || err.Error() != "draining" {
			t.Errorf("after Shutdown: %v", err)
		}
	})
}
