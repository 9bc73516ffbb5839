package callhttp

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call/queue"
)

func (a *API) registerQueues(api huma.API) {
	register(api, route{
		http.MethodGet, "/api/queues", "list-queues", "Queues and how they stand, by name", http.StatusOK, nil,
	}, a.listQueues)
}

type listQueuesOutput struct {
	Body struct {
		Queues []queueView `json:"queues"`
	} `nameHint:"QueueList"`
}

type queueView struct {
	Name      string `json:"name"`
	Waiting   int    `json:"waiting" doc:"Callers who wait, callbacks included."`
	Callbacks int    `json:"callbacks" doc:"Of those, who have hung up and will be called."`
	Longest   int64  `json:"longest_wait_ms" doc:"For how long anybody waits by now."`

	Joined    int64 `json:"joined" doc:"These and what follows count on one server, from its start."`
	Full      int64 `json:"full" doc:"Callers for whom there was no place."`
	Served    int64 `json:"served"`
	Left      int64 `json:"left" doc:"By a key."`
	TimedOut  int64 `json:"timed_out"`
	Abandoned int64 `json:"abandoned" doc:"Callers who have hung up while they waited."`
	Promised  int64 `json:"callbacks_promised"`
	Unreached int64 `json:"callbacks_unreached"`
	Lapsed    int64 `json:"callbacks_lapsed" doc:"Whose turn did not come in time."`
	MeanWait  int64 `json:"mean_wait_ms" doc:"Of those who were served."`
}

func (a *API) listQueues(ctx context.Context, _ *struct{}) (*listQueuesOutput, error) {
	out := new(listQueuesOutput)
	out.Body.Queues = []queueView{}
	all := a.cfg.Queues.Stats()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if st := all[name]; st.Tenant == tenantOf(ctx) {
			out.Body.Queues = append(out.Body.Queues, viewQueue(name, st))
		}
	}
	return out, nil
}

func viewQueue(name string, st queue.Stats) queueView {
	return queueView{
		Name: name, Waiting: st.Waiting, Callbacks: st.Callbacks, Longest: st.Longest.Milliseconds(),
		Joined: st.Joined, Full: st.Full, Served: st.Served, Left: st.Left, TimedOut: st.TimedOut, Abandoned: st.Abandoned,
		Promised: st.Promised, Unreached: st.Unreached, Lapsed: st.Lapsed, MeanWait: st.MeanWait().Milliseconds(),
	}
}
