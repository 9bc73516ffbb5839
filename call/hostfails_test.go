package call_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// unfit is all that a host can plug in. Whoever comes by the place that is
// named first panics there, or stays until it is let go; others pass.
type unfit struct {
	place   string
	panics  bool
	taken   atomic.Bool
	reached chan struct{} // closed when somebody has come by
	release chan struct{}
}

func newUnfit(place string, panics bool) *unfit {
	return &unfit{place: place, panics: panics, reached: make(chan struct{}), release: make(chan struct{})}
}

func (f *unfit) at(place string) {
	if f.place != place || f.taken.Swap(true) {
		return
	}
	close(f.reached)
	if f.panics {
		panic("host code: " + place)
	}
	<-f.release
}

// plugInto lets f stand for everything in c.
func (f *unfit) plugInto(c *call.Config) {
	c.Store = unfitStore{call.NewMemoryStore(), f}
	c.Providers = []call.Provider{unfitCarrier{c.Providers[0], f}}
	c.Router = routing.RouterFunc(func(context.Context, *routing.Request) (routing.Decision, error) {
		f.at("Router.Route")
		return routing.Decision{AgentID: "agent", Lease: unfitLease{f}}, nil
	})
	c.Policy = unfitPolicy{f}
	c.MaxDuration = 20 * time.Second
	c.Recorder = unfitRecorder{f}
	c.RecordInbound, c.TranscribeInbound = true, true
	c.Transcriber = unfitTranscriber{f}
	c.Redactor = unfitRedactor{f}
	c.Analyzer = call.AnalyzerFunc(func(context.Context, *call.Call) (call.Analysis, error) {
		f.at("Analyzer.Analyze")
		return call.Analysis{}, nil
	})
	c.HoldSound = func(int) audio.Reader {
		f.at("Config.HoldSound")
		return nothing(time.Second)
	}
	c.Notice = func(*call.Call) call.Utterance {
		f.at("Config.Notice")
		return call.Utterance{}
	}
	c.Interruption.Words = func(string) bool {
		f.at("Interruption.Words")
		return false
	}
	other := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		_, err := s.Speak(tone(440, time.Second)).Wait(ctx)
		return err
	})
	c.Agents = call.Agents{"other": other, "agent": call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		f.at("Agent.Serve")
		_, _ = s.Speak(tone(440, time.Second)).Wait(ctx)
		_ = s.Hold(nil)
		_ = s.Resume()
		return s.HandOver("other")
	})}
}

type unfitStore struct {
	call.Store
	*unfit
}

func (s unfitStore) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	s.at("Store.Create")
	return s.Store.Create(ctx, c, events)
}

func (s unfitStore) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	s.at("Store.Update")
	return s.Store.Update(ctx, c, events)
}

func (s unfitStore) ByProvider(ctx context.Context, provider, id string) (*call.Call, error) {
	s.at("Store.ByProvider")
	return s.Store.ByProvider(ctx, provider, id)
}

func (s unfitStore) Get(ctx context.Context, id string) (*call.Call, error) {
	s.at("Store.Get")
	return s.Store.Get(ctx, id)
}

func (s unfitStore) ByKey(ctx context.Context, tenant, key string) (*call.Call, error) {
	s.at("Store.ByKey")
	return s.Store.ByKey(ctx, tenant, key)
}

func (s unfitStore) List(ctx context.Context, f call.Filter) ([]*call.Call, error) {
	s.at("Store.List")
	return s.Store.List(ctx, f)
}

func (s unfitStore) Events(ctx context.Context, id string, after int64) ([]call.Event, error) {
	s.at("Store.Events")
	return s.Store.Events(ctx, id, after)
}

func (s unfitStore) Delete(ctx context.Context, id string) error {
	s.at("Store.Delete")
	return s.Store.Delete(ctx, id)
}

type unfitCarrier struct {
	call.Provider
	*unfit
}

func (c unfitCarrier) Dial(ctx context.Context, req *telephony.DialRequest) (string, error) {
	c.at("Provider.Dial")
	return c.Provider.Dial(ctx, req)
}

func (c unfitCarrier) Hangup(ctx context.Context, id string) error {
	c.at("Provider.Hangup")
	return c.Provider.Hangup(ctx, id)
}

func (c unfitCarrier) Status(ctx context.Context, id string) (telephony.Event, error) {
	c.at("Provider.Status")
	return c.Provider.Status(ctx, id)
}

func (c unfitCarrier) ParseEvent(w *telephony.Webhook) (telephony.Event, error) {
	c.at("Provider.ParseEvent")
	return c.Provider.ParseEvent(w)
}

type unfitLease struct{ *unfit }

func (l unfitLease) Move(string) { l.at("Lease.Move") }
func (l unfitLease) Release()    { l.at("Lease.Release") }

type unfitPolicy struct{ *unfit }

func (unfitPolicy) Allow(context.Context, call.Leg) error { return errors.New("Allow was asked") }

func (p unfitPolicy) Reserve(context.Context, call.Leg) (call.Reservation, error) {
	p.at("Policy.Reserve")
	return call.ReservationFunc(func(context.Context, call.Usage) error {
		p.at("Reservation.Release")
		return nil
	}), nil
}

type unfitRecorder struct{ *unfit }

func (r unfitRecorder) Record(context.Context, recording.Info) (recording.Sink, error) {
	r.at("Recorder.Record")
	return unfitRecording(r), nil
}

type unfitRecording struct{ *unfit }

func (r unfitRecording) WriteFrame(*audio.Frame) { r.at("recording.Sink.WriteFrame") }

func (r unfitRecording) Close(context.Context, time.Duration) (recording.Recording, error) {
	r.at("recording.Sink.Close")
	return recording.Recording{}, nil
}

type unfitTranscriber struct{ *unfit }

func (r unfitTranscriber) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	r.at("Transcriber.Transcribe")
	return unfitTranscript{r.unfit, info.Emit}, nil
}

type unfitTranscript struct {
	*unfit
	emit func(transcript.Segment)
}

func (r unfitTranscript) WriteFrame(*audio.Frame) { r.at("transcript.Sink.WriteFrame") }

func (r unfitTranscript) Close(context.Context) error {
	r.emit(transcript.Segment{Speaker: transcript.Customer, Text: "Hello.", Final: true})
	r.at("transcript.Sink.Close")
	return nil
}

type unfitRedactor struct{ *unfit }

func (r unfitRedactor) Redaction() func(transcript.Segment) transcript.Segment {
	r.at("Redactor.Redaction")
	return func(seg transcript.Segment) transcript.Segment {
		r.at("redaction")
		return seg
	}
}

// Code of the host's that panics, or never returns, costs one call at most its
// agent, its records or itself: that call ends in bounds, another one that lives
// meanwhile notices nothing, and what has not returned is counted until it does.
func TestHostCodeThatFails(t *testing.T) {
	mute := sim.Faults{CallbackLost: 1, Request: func(_ int, r *http.Request) sim.CreateFault {
		if r.Method == http.MethodGet {
			return sim.CreateFault{}
		}
		return sim.Broken(500, false)
	}}
	tests := []struct {
		place   string
		inbound bool
		faults  sim.Faults // of the carrier's
	}{
		{place: "Agent.Serve"}, {place: "Analyzer.Analyze"}, {place: "Config.HoldSound"}, {place: "Config.Notice"}, {place: "Interruption.Words"},
		{place: "Lease.Move", inbound: true}, {place: "Lease.Release", inbound: true}, {place: "Router.Route", inbound: true},
		{place: "Policy.Reserve"}, {place: "Reservation.Release"},
		{place: "Provider.Dial"}, {place: "Provider.Hangup"}, {place: "Provider.Status", faults: mute},
		{place: "Recorder.Record"}, {place: "recording.Sink.WriteFrame"}, {place: "recording.Sink.Close"},
		{place: "Redactor.Redaction"}, {place: "redaction"},
		{place: "Store.ByProvider", inbound: true}, {place: "Store.Create"}, {place: "Store.Create", inbound: true}, {place: "Store.Update"},
		{place: "Transcriber.Transcribe"}, {place: "transcript.Sink.WriteFrame"}, {place: "transcript.Sink.Close"},
	}
	for _, tt := range tests {
		for _, way := range []string{"panics", "never returns"} {
			name := tt.place + " " + way
			if tt.inbound {
				name += ", inbound"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newUnfit(tt.place, way == "panics")
					o := newOffice(t, call.Echo, f.plugInto, tt.faults)
					first := o.begin(t, "+12025550142", tt.inbound)
					select {
					case <-f.reached:
					case <-time.After(2 * time.Minute):
						t.Fatal("nobody came by")
					}
					if other := <-o.begin(t, "+12025550143", tt.inbound); other.state != call.Completed || other.took > 15*time.Second {
						t.Errorf("another call ended %v after %v", other.state, other.took)
					}
					if a := <-first; a.took > 40*time.Second {
						t.Errorf("the call took %v", a.took)
					}
					time.Sleep(2 * time.Minute)
					st := o.Stats()
					if held := st.HostHeld + st.AgentsLeft; st.Live != 0 || (held != 1) == (way != "panics") {
						t.Errorf("%d calls are live, %d held by the host, %d agents left", st.Live, st.HostHeld, st.AgentsLeft)
					}
					close(f.release)
					time.Sleep(time.Minute)
					if st := o.Stats(); st.HostHeld != 0 || st.AgentsLeft != 0 {
						t.Errorf("when all have returned: %d held, %d agents left", st.HostHeld, st.AgentsLeft)
					}
				})
			})
		}
	}
}

// attempt is what has become of a call.
type attempt struct {
	state call.State // Initiated if it has not come about
	took  time.Duration
}

// begin makes a call, to a phone or from one, and tells what has become of it.
func (o *office) begin(t *testing.T, phone telephony.Number, inbound bool) <-chan attempt {
	result, began := make(chan attempt, 1), time.Now()
	o.Phone(string(phone)).Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
	go func() {
		var a attempt
		defer func() { result <- a }()
		defer func() { a.took = time.Since(began) }()
		if !inbound {
			c, err := o.Place(t.Context(), call.Request{
				AgentID: "agent", To: phone, From: ours, Options: call.Options{Record: true, Transcribe: true},
			})
			if err == nil {
				c, _ = o.Wait(t.Context(), c.ID)
				a.state = c.State
			}
			return
		}
		if talk, err := o.Phone(string(phone)).Call(t.Context(), ours); err == nil {
			<-talk.Done()
		}
		for c := range o.Calls(t.Context(), call.Filter{}) {
			if c.From == phone {
				c, _ = o.Wait(t.Context(), c.ID)
				a.state = c.State
			}
		}
	}()
	return result
}

// Whoever asks about calls is answered in time, whatever the store does.
func TestQuestionsToAStoreThatFails(t *testing.T) {
	ask := map[string]func(o *office, id string) error{
		"Store.Get":   func(o *office, id string) error { _, err := o.Service.Call(context.Background(), id); return err },
		"Store.ByKey": func(o *office, _ string) error { _, err := o.CallByKey(context.Background(), "", "key"); return err },
		"Store.List": func(o *office, _ string) (failed error) {
			for _, err := range o.Calls(context.Background(), call.Filter{}) {
				failed = err
			}
			return failed
		},
		"Store.Events": func(o *office, id string) error { _, err := o.Events(context.Background(), id, 0); return err },
		"Store.Delete": func(o *office, id string) error { return o.Erase(context.Background(), id) },
	}
	for place, question := range ask {
		for _, panics := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newUnfit(place, panics)
				f.taken.Store(true)
				o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = unfitStore{call.NewMemoryStore(), f} })
				c, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, IdempotencyKey: "key"})
				if err != nil {
					t.Fatal(err)
				}
				o.wait(c.ID)
				synctest.Wait() // until the service has let it go
				f.taken.Store(false)
				began := time.Now()
				if err := question(o, c.ID); !errors.Is(err, call.ErrStore) || time.Since(began) > 6*time.Second {
					t.Errorf("%s: %v after %v", place, err, time.Since(began))
				}
				if err := question(o, c.ID); err != nil {
					t.Errorf("%s asked again: %v", place, err)
				}
				if held := o.Stats().HostHeld; (held == 1) == panics {
					t.Errorf("%s: %d are held", place, held)
				}
				close(f.release)
			})
		}
	}
}

// A Redactor that is slow, and not too slow for any single segment, holds the end
// of a call up for a second at most: the words that are left are withheld.
func TestSlowRedactor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const segments = 100
		o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
			for i := range segments {
				at := time.Duration(i) * time.Millisecond
				s.AddSegment(transcript.Segment{Speaker: transcript.Agent, Text: "Hello.", At: at, End: at, Final: true})
			}
			return nil
		}), func(c *call.Config) {
			c.Redactor = transcript.RedactorFunc(func(seg transcript.Segment) transcript.Segment {
				time.Sleep(200 * time.Millisecond)
				return seg
			})
		})
		c := o.wait(o.place(call.Options{}).ID)
		if took := c.EndedAt.Sub(c.AnsweredAt); took > 10*time.Second {
			t.Errorf("the call took %v", took)
		}
		kept := 0
		for _, seg := range c.Transcript {
			if seg.Text != transcript.Withheld {
				kept++
			}
		}
		if withheld := o.Stats().WordsWithheld; kept == 0 || withheld < segments/2 || kept+int(withheld) != segments {
			t.Errorf("%d of %d segments have words, %d are withheld", kept, len(c.Transcript), withheld)
		}
	})
}
