package callhttp

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
)

func TestQueuesAreShownToTheirTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk, err := queue.New(queue.Config{
			Agents: call.Agents{"ann": call.Echo},
			Queues: map[string]queue.Queue{
				"sales":   {Agents: []string{"ann"}, Tenant: "acme"},
				"billing": {Agents: []string{"ann"}, Tenant: "acme"},
				"secret":  {Agents: []string{"ann"}, Tenant: "other"},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		b := setup(t, func(_ *call.Config, cfg *Config) { cfg.Queues = desk })
		got := decode[struct{ Queues []queueView }](t, b.ask("acme", "GET", "/api/queues", ""), http.StatusOK)
		if len(got.Queues) != 2 || got.Queues[0].Name != "billing" || got.Queues[1] != (queueView{Name: "sales"}) {
			t.Errorf("%+v", got)
		}
	})
}
