package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Of two callers of a queue the second waits, asks to be called back, and is, as
// soon as the first one is gone: in memory, and in a database.
func TestCallersWaitAndAreCalledBack(t *testing.T) {
	for _, database := range []string{"memory:", "sqlite:" + filepath.Join(t.TempDir(), "switchboard.db")} {
		t.Run(strings.Split(database, ":")[0], func(t *testing.T) {
			t.Parallel()
			routes := filepath.Join(t.TempDir(), "routes.json")
			if err := os.WriteFile(routes, []byte(`{
				"queues": {"support": {"agents": ["echo"], "callbacks": true}},
				"numbers": [{"number": "`+ownNumber+`", "agent": "support"}]
			}`), 0o600); err != nil {
				t.Fatal(err)
			}
			r := start(t, "ROUTES", routes, "DATABASE_URL", database)
			news := r.svc.Subscribe(t.Context(), 1000)
			until := func(fits func(call.Event) bool) string {
				for e := range news.C {
					if fits(e) {
						return e.CallID
					}
				}
				t.Fatal("there are no events any more")
				return ""
			}
			given := func(e call.Event) bool { return e.Type == call.EventAgentChange && e.Name == "echo" }
			says := func(id string, p prompt) {
				until(func(e call.Event) bool {
					return e.CallID == id && e.Segment != nil && strings.Contains(e.Segment.Text, p.words)
				})
			}
			enter := func(phone string) *sim.Talk {
				talk, err := r.carrier.Phone(phone).Call(t.Context(), ownNumber)
				if err != nil {
					t.Fatal(err)
				}
				return talk
			}
			const patient, eager = "+12025550123", "+12025550124"
			r.carrier.Phone(patient).Behave(sim.Behavior{Talk: func(t *sim.Talk) {
				_ = t.Say(prompts["hello"].sound())
				t.Hangup()
			}})

			first := enter(eager)
			until(given)
			second := enter(patient)
			waits := until(func(e call.Event) bool { return e.Type == call.EventAgent && e.Name == "queued" })
			says(waits, prompts["callback"])
			if err := second.Press("*"); err != nil {
				t.Fatal(err)
			}
			says(waits, prompts["promise"])
			<-second.Done()
			if by := second.HungUpBy(); by != sim.ByCallee {
				t.Errorf("hung up by %s", by)
			}
			first.Hangup()
			back, err := r.svc.Wait(t.Context(), until(given))
			if err != nil || back.Direction != telephony.Outbound || back.To != patient || back.State != call.Completed {
				t.Errorf("%+v, %v", back, err)
			}
			type counts struct {
				Joined, Served int
				Promised       int `json:"callbacks_promised"`
			}
			var got struct{ Queues []counts }
			r.json(r.ask("mine", "GET", "api/queues", ""), 200, &got)
			if want := (counts{Joined: 2, Served: 2, Promised: 1}); len(got.Queues) != 1 || got.Queues[0] != want {
				t.Errorf("queues %+v, want %+v", got.Queues, want)
			}
			const figure = `switchboard_queue_served_total{queue="support"} 2` + "\n"
			if text := string(r.answer(r.ask("", "GET", "metrics", ""), 200)); !strings.Contains(text, figure) {
				t.Errorf("metrics without %q: %s", figure, text)
			}
		})
	}
}
