package callhttp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/switchboard-voice/switchboard/call"
)

const toRefused = `{"agent_id":"echo","to_phone":"` + refused + `","from_phone":"+12025550100"}`

// rest are the status words of all state events up to the end of the stream.
func rest(r *reader) (statuses []string, last event) {
	for {
		e, ok := r.next()
		if !ok {
			return statuses, last
		}
		if e.Type == "state" {
			statuses = append(statuses, e.Status)
		}
		last = e
	}
}

func TestCallIsFollowedFromItsBeginningToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		id := decode[placed](t, b.ask("acme", "POST", "/api/calls", toRefused), 201).CallID
		events, end := b.follow("acme", "/api/calls/"+id+"/events")
		defer end()
		got, last := rest(events)
		want := []string{"initiated", "ending", "failed"}
		if !slices.Equal(got, want) {
			t.Errorf("statuses %v, want %v", got, want)
		}
		if last.CallID != id || last.EndReason != "dial_rejected" || last.Metrics == nil {
			t.Errorf("last event %+v", last)
		}

		// Once more from the store, and from the middle.
		for after := range 3 {
			again, end := b.follow("acme", "/api/calls/"+id+"/events", "Last-Event-ID", fmt.Sprint(after))
			if got, _ := rest(again); !slices.Equal(got, want[after:]) {
				t.Errorf("after event %d: statuses %v, want %v", after, got, want[after:])
			}
			end()
		}
		if w := b.ask("acme", "GET", "/api/calls/"+id+"/events", "", "Last-Event-ID", last.ID); w.Code != 204 {
			t.Errorf("after the last event: status %d, want 204", w.Code)
		}
		for _, bad := range []string{"-1", "x", b.feed.id(1)} {
			wantProblem(t, b.ask("acme", "GET", "/api/calls/"+id+"/events", "", "Last-Event-ID", bad), 400, "invalid_request")
		}
	})
}

func TestAllEventsAreOnesOwnAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.ask("acme", "POST", "/api/calls", toRefused) // before: not to be seen
		synctest.Wait()

		events, end := b.follow("acme", "/api/events")
		b.ask("other", "POST", "/api/calls", toRefused)
		synctest.Wait()
		id := decode[placed](t, b.ask("acme", "POST", "/api/calls", toRefused), 201).CallID
		first, _ := events.next()
		end()
		if first.CallID != id || first.Status != "initiated" {
			t.Fatalf("first event %+v, want that call %s is initiated", first, id)
		}

		synctest.Wait()
		events, end = b.follow("acme", "/api/events", "Last-Event-ID", first.ID)
		for _, want := range []string{"ending", "failed"} {
			if e, _ := events.next(); e.CallID != id || e.Status != want {
				t.Errorf("event %+v, want %s", e, want)
			}
		}
		end()
	})
}

func TestClientIsToldThatItMissedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ *call.Config, c *Config) { c.KeepEvents = 2 })
		b.ask("acme", "POST", "/api/calls", toRefused) // 3 events, of which 2 are kept
		synctest.Wait()
		for name, last := range map[string]string{
			"of another process": "ZZZZZZZZ-1", "too old": b.feed.id(0), "in the future": b.feed.id(9), "no id": "hello",
		} {
			events, end := b.follow("acme", "/api/events", "Last-Event-ID", last)
			if e, _ := events.next(); e.Type != "reset" {
				t.Errorf("id %s: event %+v, want a reset", name, e)
			}
			for _, want := range []string{"ending", "failed"} {
				e, _ := events.next()
				for e.Type == "reset" {
					e, _ = events.next()
				}
				if e.Status != want {
					t.Errorf("id %s: event %+v, want %s", name, e, want)
				}
			}
			end()
		}
	})
}

func TestCallIsFollowedThroughALossInTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ *call.Config, c *Config) { c.KeepEvents = 1 })
		id := b.place("acme")
		synctest.Wait()
		events, end := b.follow("acme", "/api/calls/"+id+"/events")
		defer end()
		events.next() // and the reader does not read on while the rest happens
		b.ask("acme", "POST", "/api/calls/"+id+"/disconnect", "")
		if _, err := b.svc.Wait(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		got, _ := rest(events)
		if want := []string{"connecting", "ending", "canceled"}; !slices.Equal(got, want) {
			t.Errorf("statuses %v, want %v", got, want)
		}
	})
}

func TestQuietStreamBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		events, end := b.follow("acme", "/api/events")
		defer end()
		for range 3 {
			if !events.comment() {
				t.Fatal("the stream has ended")
			}
		}
	})
}

func TestStreamsAreBoundedAndEndWithTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ *call.Config, c *Config) { c.MaxStreams = 2 })
		id := b.place("acme")
		all, endAll := b.follow("acme", "/api/events")
		defer endAll()
		_, endOne := b.follow("acme", "/api/calls/"+id+"/events")
		w := b.ask("acme", "GET", "/api/events", "")
		wantProblem(t, w, 503, "overloaded")
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		endOne()
		one, endOne := b.follow("acme", "/api/calls/"+id+"/events")
		defer endOne()

		b.Close()
		for _, r := range []*reader{all, one} {
			for {
				if _, ok := r.next(); !ok {
					break
				}
			}
		}
		if w := b.ask("acme", "GET", "/api/calls/"+id, ""); w.Code != 200 {
			t.Errorf("after Close: status %d", w.Code)
		}
	})
}

func TestFeedKeepsTheLatest(t *testing.T) {
	f := newFeed(3)
	for n := int64(1); n <= 5; n++ {
		f.add(entry{Event: call.Event{Seq: n}})
	}
	p := f.read(1)
	if p.first != 3 || !p.lost || len(p.entries) != 3 || p.entries[0].Seq != 3 {
		t.Errorf("page %+v, want events 3 to 5 and a loss", p)
	}
	p = f.read(4)
	if p.first != 4 || p.lost || len(p.entries) != 2 {
		t.Errorf("page %+v, want events 4 and 5", p)
	}
	p = f.read(6)
	if p.lost || len(p.entries) != 0 || p.closed {
		t.Errorf("page %+v, want nothing yet", p)
	}
	f.add(entry{Event: call.Event{Seq: 6}})
	<-p.changed
	f.close()
	if p = f.read(6); p.closed || len(p.entries) != 1 {
		t.Errorf("page %+v, want event 6 before the end", p)
	}
	if p = f.read(7); !p.closed {
		t.Errorf("page %+v, want the end", p)
	}
}

func TestOpenAPIDescribesTheAPI(t *testing.T) {
	b := setup(t, nil)
	doc := decode[struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}](t, b.ask("nobody", "GET", "/openapi.json", ""), 200)
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || doc.Servers[0].URL != "/phone" {
		t.Errorf("OpenAPI %s at %v", doc.OpenAPI, doc.Servers)
	}
	var got []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
			for status, response := range op.Responses {
				if status == "422" {
					t.Errorf("%s %s: says 422", method, path)
				}
				if _, problem := response.Content[problemType]; status >= "400" && !problem {
					t.Errorf("%s %s: %s is no problem", method, path, status)
				}
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /api/calls/{id}", "DELETE /api/calls/{id}/carrier-recordings/{recording_id}",
		"GET /api/calls", "GET /api/calls/{id}", "GET /api/calls/{id}/carrier-recordings/{recording_id}", "GET /api/calls/{id}/events",
		"GET /api/calls/{id}/recording", "GET /api/calls/{id}/transcript", "GET /api/events",
		"POST /api/calls", "POST /api/calls/batch", "POST /api/calls/{id}/carrier-recordings",
		"POST /api/calls/{id}/carrier-recordings/{recording_id}/pause",
		"POST /api/calls/{id}/carrier-recordings/{recording_id}/resume",
		"POST /api/calls/{id}/carrier-recordings/{recording_id}/stop",
		"POST /api/calls/{id}/disconnect", "POST /api/calls/{id}/dtmf", "POST /api/calls/{id}/hold", "POST /api/calls/{id}/listen",
		"POST /api/calls/{id}/recording/consent", "POST /api/calls/{id}/recording/pause", "POST /api/calls/{id}/recording/resume",
		"POST /api/calls/{id}/resume", "POST /api/calls/{id}/transfer", "POST /api/tickets",
	}
	if !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
	if _, huma := doc.Components.Schemas["ErrorModel"]; huma || doc.Components.Schemas["Problem"].Properties == nil {
		t.Error("the document describes errors of another shape")
	}
	for schema, names := range map[string][]string{
		"PlaceRequest":  {"agent_id", "to_phone", "customer_data", "record_call", "machine_detection"},
		"TicketRequest": {"agent_id", "metadata", "silence_timeout_seconds"},
		"Detail":        {"call_id", "status", "on_hold", "parent_call_id", "transcript", "carrier_recordings"},
	} {
		for _, name := range names {
			if doc.Components.Schemas[schema].Properties[name] == nil {
				t.Errorf("%s is described without %s", schema, name)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	b := setup(t, nil)
	good := b.cfg
	for name, change := range map[string]func(*Config){
		"no service":             func(c *Config) { c.Service = nil },
		"no authorization":       func(c *Config) { c.Authorize = nil },
		"prefix is not a path":   func(c *Config) { c.Prefix = "phone" },
		"prefix ends with slash": func(c *Config) { c.Prefix = "/phone/" },
		"prefix is a slash":      func(c *Config) { c.Prefix = "/" },
		"lifetime is negative":   func(c *Config) { c.RecordingTTL = -1 },
		"events are negative":    func(c *Config) { c.KeepEvents = -1 },
		"streams are negative":   func(c *Config) { c.MaxStreams = -1 },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
