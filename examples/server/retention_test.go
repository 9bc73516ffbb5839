package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A call is gone from the API once its time has come.
func TestOldCallsAreErased(t *testing.T) {
	t.Parallel()
	r := start(t, "RETENTION", "1s")
	r.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
	news := r.svc.Subscribe(t.Context(), 100)
	id := r.place(seedCall)
	for e := range news.C {
		if e.Type == call.EventErased && e.CallID == id {
			break
		}
	}
	r.answer(r.ask("mine", "GET", "api/calls/"+id, ""), 404)
}

// A busy server has more calls to erase at a time than are erased in one go.
func TestAllOldCallsAreErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1200
		store := call.NewMemoryStore()
		for i := range calls {
			c := &call.Call{
				ID: fmt.Sprint(i), Provider: "sim", State: call.Completed, CreatedAt: time.Now(), EndedAt: time.Now(), Version: 1,
			}
			if _, err := store.Create(t.Context(), c, nil); err != nil {
				t.Fatal(err)
			}
		}
		svc, err := call.New(call.Config{
			PublicURL: calltest.PublicURL, Providers: []call.Provider{calltest.NewNetwork(t).Provider},
			Agents: call.Agents{"echo": call.Echo}, Store: store,
			Retention: func(*call.Call) time.Duration { return time.Hour },
		})
		if err != nil {
			t.Fatal(err)
		}
		s := &server{svc: svc, cfg: &settings{retention: time.Hour}, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.eraseExpired(ctx)
		}()
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		cancel()
		<-done
		if left, err := svc.EraseExpired(t.Context(), calls); left != 0 || err != nil {
			t.Errorf("%d calls were left, %v", left, err)
		}
	})
}
