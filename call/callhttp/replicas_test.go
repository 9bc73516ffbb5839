package callhttp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// unplugged is the way to the other replicas when it is cut.
type unplugged struct{}

func (unplugged) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("10.0.0.7: no route to host")
}

// replica is an API over one of several services that share a store, and do not
// reach each other.
func replica(t *testing.T, store call.Store, host string) *bench {
	return setup(t, func(c *call.Config, _ *Config) {
		c.Store = store
		c.Cluster = call.Cluster{Address: "http://" + host, Secret: "a secret of the replicas", Transport: unplugged{}}
	})
}

// Who follows all events, or a call, at one replica is told of the calls of another,
// in order and once, whether or not replicas reach each other.
func TestEventsOfAnotherReplicaAreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := call.NewMemoryStore()
		one, two := replica(t, store, "one.test"), replica(t, store, "two.test")
		for _, b := range []*bench{one, two} {
			if err := b.svc.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		all, end := two.follow("acme", "/api/events")
		defer end()
		strangers, endStrangers := two.follow("other", "/api/events")
		id := one.place("acme")
		synctest.Wait()
		its, endIts := two.follow("acme", "/api/calls/"+id+"/events")
		defer endIts()
		one.ask("acme", "POST", "/api/calls/"+id+"/disconnect", "")
		if _, err := two.svc.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		want := []string{"initiated", "connecting", "ending", "canceled"}
		if got, last := rest(its); !slices.Equal(got, want) || last.CallID != id {
			t.Errorf("of the call: %v, want %v", got, want)
		}
		var got []string
		for len(got) < len(want) {
			e, ok := all.next()
			if !ok {
				break
			}
			if e.Type == "state" && e.CallID == id {
				got = append(got, e.Status)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("of all: %v, want %v", got, want)
		}
		endStrangers()
		if e, ok := strangers.next(); ok {
			t.Errorf("another tenant is told %+v", e)
		}
	})
}

// A replica that does not answer, or has lost touch itself, and a store that is away
// are 503 with a time to come back. What is inside is not told.
func TestReplicasAndStoresThatAreAwayAreProblems(t *testing.T) {
	away := func(t *testing.T, b *bench, word, method, path, body string) {
		t.Helper()
		w := b.ask("acme", method, path, body)
		text := w.Body.String()
		wantProblem(t, w, 503, word)
		if w.Header().Get("Retry-After") != "5" || strings.Contains(text, "10.0.0.") {
			t.Errorf("Retry-After %q, %s", w.Header().Get("Retry-After"), text)
		}
	}
	t.Run("a replica", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := call.NewMemoryStore()
			one, two := replica(t, store, "one.test"), replica(t, store, "two.test")
			away(t, one, "no_lease", "POST", "/api/calls", ordinary)
			for _, b := range []*bench{one, two} {
				if err := b.svc.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			id := one.place("acme")
			synctest.Wait()
			away(t, two, "call_unreachable", "POST", "/api/calls/"+id+"/disconnect", "")
		})
	})
	t.Run("the store", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, func(c *call.Config, _ *Config) { c.Store = lost{c.Store} })
			away(t, b, "store_away", "POST", "/api/calls", ordinary)
			away(t, b, "store_away", "GET", "/api/calls", "")
			away(t, b, "store_away", "GET", "/api/calls/call_1", "")
			away(t, b, "store_away", "POST", "/api/calls/call_1/disconnect", "")
			time.Sleep(time.Minute)
			if dialed := len(b.carrier.requests); dialed != 0 {
				t.Errorf("%d dialed", dialed)
			}
		})
	})
}

// lost is a store that is away.
type lost struct{ call.Store }

var errLost = errors.New("dial tcp 10.0.0.5:5432: connection refused")

func (lost) Create(context.Context, *call.Call, []call.Event) (*call.Call, error) {
	return nil, errLost
}
func (lost) Get(context.Context, string) (*call.Call, error)           { return nil, errLost }
func (lost) ByKey(context.Context, string, string) (*call.Call, error) { return nil, errLost }
func (lost) List(context.Context, call.Filter) ([]*call.Call, error)   { return nil, errLost }
