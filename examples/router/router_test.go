package router

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a list of customers. A nil one cannot be read.
type book map[telephony.Number]*Customer

func (b book) ByPhone(_ context.Context, number telephony.Number) (*Customer, error) {
	if b == nil {
		return nil, errors.New("the book is away")
	}
	return b[number], nil
}

var shop = book{
	"+12025550101": {Name: "Ada", Agent: "grace"},
	"+12025550102": {Name: "Bob", Owes: true},
	"+12025550103": {Name: "Cid"},
}

func opening(t *testing.T) *routing.Hours {
	t.Helper()
	h := new(routing.Hours)
	if err := h.UnmarshalJSON([]byte(`{"zone":"America/New_York","week":"Mon-Fri 09:00-17:00"}`)); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWhoAnswers(t *testing.T) {
	staff := new(routing.Staff)
	staff.Set("sam", routing.Availability{Capacity: 1})
	monday := time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC) // 10:00 in New York
	tests := []struct {
		name      string
		customers Customers
		from      telephony.Number
		at        time.Time
		agent     string
		failed    int
	}{
		{"a customer has an agent, at any time", shop, "+12025550101", monday.Add(12 * time.Hour), "grace", 0},
		{"a customer owes", shop, "+12025550102", monday, "billing", 0},
		{"a customer has no agent", shop, "+12025550103", monday.Add(12 * time.Hour), "machine", 0},
		{"a stranger during hours", shop, "+12025550109", monday, "sam", 0},
		{"a stranger when all are busy", shop, "+12025550109", monday, "machine", 0},
		{"customers cannot be looked up", book(nil), "+12025550101", monday.Add(12 * time.Hour), "machine", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := New(tt.customers, opening(t), staff, "sam").Route(t.Context(), &routing.Request{From: tt.from, To: "+12025550100", At: tt.at})
			if err != nil || d.AgentID != tt.agent || len(d.Failed) != tt.failed {
				t.Errorf("%s (%s), %v, %v; want %s", d.AgentID, d.Reason, d.Failed, err, tt.agent)
			}
		})
	}
}

func TestAgentKnowsTheCallersName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		name := make(chan string, 1)
		svc, err := call.New(call.Config{
			PublicURL: calltest.PublicURL,
			Providers: []call.Provider{network.Provider},
			Router:    New(shop, opening(t), new(routing.Staff), "sam"),
			Agents: call.Agents{"billing": call.Echo, "sam": call.Echo, "machine": call.Echo, "grace": call.AgentFunc(func(_ context.Context, s *call.Session) error {
				name <- s.Call().Context["name"]
				return nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		network.Connect(svc)
		talk, err := network.Phone("+12025550101").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if n := <-name; n != "Ada" {
			t.Errorf("the agent was told that %q calls", n)
		}
	})
}
