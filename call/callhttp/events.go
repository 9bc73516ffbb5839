package callhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/switchboard-voice/switchboard/call"
)

const (
	// heartbeat keeps proxies from closing a stream on which nothing happens.
	heartbeat = 15 * time.Second
	// writeTimeout is how long a client may take to take what it is sent.
	writeTimeout = 10 * time.Second
)

func (a *API) registerEvents(api huma.API) {
	register(api, route{
		http.MethodGet, "/api/events", "follow-events", "Follow the events of all calls", http.StatusOK,
		[]Problem{overloaded},
	}, a.allEvents)
	register(api, route{
		http.MethodGet, "/api/calls/{id}/events", "follow-call", "Follow the events of a call from its beginning to its end", http.StatusOK,
		[]Problem{callNotFound, overloaded},
	}, a.callEvents)

	doc := api.OpenAPI()
	for _, path := range []string{"/api/events", "/api/calls/{id}/events"} {
		ok := doc.Paths[path].Get.Responses["200"]
		ok.Description = eventsText
		ok.Content = map[string]*huma.MediaType{"text/event-stream": {
			Schema: &huma.Schema{Type: huma.TypeString},
		}}
	}
	doc.Paths["/api/calls/{id}/events"].Get.Responses["204"] = &huma.Response{
		Description: "The call is over, and Last-Event-ID was its last event.",
	}
}

// eventsText describes the events, for which OpenAPI 3.1 has no schema.
const eventsText = `Server-sent events, whose data is JSON with call_id, seq, at and type, and by type:
state (status, and at the end end_reason, detail and metrics), transcript (segment),
transcription (name: recording or degraded, if the transcript is not that of the live call; detail),
key (key, unless it was pressed in a pause of the recording),
interruption (name: speech or key), agent (name and data, as the agent reports),
hold (name: on or off), listen (name: on or off, as somebody listens to the call; detail), move (name: transfer, conference, redirect or keys when the caller leaves the agent,
back on return, declined if a transfer did not come about; detail), agent_change (name: the agent that has the call now),
answered_by (name: human, machine, fax …), machine (name: message_left, message_uncertain, message_cut or hung_up),
failover (name: the carrier that places the call instead; detail),
recording_pause (name: on or off), consent (name: given or refused),
carrier_recording (name: its id; detail: its status), recording (detail), metrics (figures, as the agent reports),
analysis (figures and data, or detail, after the last state), erased, cleanup (name, detail),
and reset, which tells a client that it has missed some.`

// event is the data of one server-sent event.
type event struct {
	ID        string             `json:"id"`
	CallID    string             `json:"call_id,omitempty"`
	Seq       int64              `json:"seq,omitempty"` // within the call, from 1 without gaps
	Type      string             `json:"type"`
	At        time.Time          `json:"at,omitzero"`
	Status    string             `json:"status,omitempty"` // of state events
	EndReason string             `json:"end_reason,omitempty"`
	Detail    string             `json:"detail,omitempty"`
	Segment   *eventSegment      `json:"segment,omitempty"`
	Key       string             `json:"key,omitempty"`
	Name      string             `json:"name,omitempty"`
	Data      map[string]string  `json:"data,omitempty"`
	Figures   map[string]float64 `json:"figures,omitempty"`
	Metrics   *metrics           `json:"metrics,omitempty"` // of the last event of a call
}

type eventSegment struct {
	ID string `json:"id,omitempty"`
	segment
	Final bool `json:"final"`
}

// typeReset is the type of an event that tells a client that it has missed some:
// it had best ask for the list of calls anew.
const typeReset = "reset"

func (a *API) event(ctx context.Context, id string, e call.Event) event {
	v := event{
		ID:        id,
		CallID:    e.CallID,
		Seq:       e.Seq,
		Type:      string(e.Type),
		At:        e.At.UTC(),
		EndReason: string(e.Cause),
		Detail:    e.Detail,
		Key:       e.Key,
		Name:      e.Name,
		Data:      e.Data,
		Figures:   e.Figures,
	}
	if e.Segment != nil {
		v.Segment = &eventSegment{ID: e.Segment.ID, segment: newSegment(*e.Segment), Final: e.Segment.Final}
	}
	if e.Type != call.EventState {
		return v
	}
	v.Status = e.State.String()
	if e.State.Terminal() {
		if c, err := a.cfg.Service.Call(ctx, e.CallID); err == nil {
			m := measure(&c.Metrics)
			v.Metrics = &m
		}
	}
	return v
}

type eventsOutput struct{ Body func(huma.Context) }

type followAll struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"Go on after this event. Without it: from now on."`
}

// allEvents sends the events of all calls of a tenant from now on, or after the
// last one that the client has seen.
func (a *API) allEvents(ctx context.Context, in *followAll) (*eventsOutput, error) {
	place, known := a.feed.end(), true
	if in.LastEventID != "" {
		var after int64
		if after, known = a.feed.after(in.LastEventID); known {
			place = after
		} else {
			place = 1 // all there is
		}
	}
	return a.stream(func(ctx context.Context, out *sender) error {
		if !known {
			out.send(event{ID: a.feed.id(place - 1), Type: typeReset})
		}
		return a.followAll(ctx, out, place)
	})
}

func (a *API) followAll(ctx context.Context, out *sender, place int64) error {
	tenant := tenantOf(ctx)
	for {
		p := a.feed.read(place)
		if p.lost {
			out.send(event{ID: a.feed.id(p.first - 1), Type: typeReset})
		}
		for i, e := range p.entries {
			id := a.feed.id(p.first + int64(i))
			switch {
			case e.gap:
				out.send(event{ID: id, Type: typeReset})
			case e.Tenant == tenant:
				out.send(a.event(ctx, id, e.Event))
			}
		}
		place = p.first + int64(len(p.entries))
		if err := out.flush(); err != nil || p.closed {
			return err
		}
		if len(p.entries) > 0 {
			continue
		}
		if _, err := out.wait(ctx, p.changed); err != nil {
			return err
		}
	}
}

type followOne struct {
	ID          string `path:"id" maxLength:"255"`
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"Go on after this event. Without it: from the first on."`
}

// callEvents sends the events of one call, from its first or after the last one
// that the client has seen, until the call is over. A client that has seen the
// last one is answered with 204, which tells it not to come back.
func (a *API) callEvents(ctx context.Context, in *followOne) (*eventsOutput, error) {
	place := a.feed.end() // before the call is looked at, so that nothing is missed
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	after, err := strconv.ParseInt(in.LastEventID, 10, 64)
	if in.LastEventID != "" && (err != nil || after < 0) {
		return nil, invalidRequest.at("header.Last-Event-ID", "is not the id of an event of this call")
	}
	if c.State.Terminal() && after > 0 {
		rest, err := a.cfg.Service.Events(ctx, c.ID, after)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		if len(rest) == 0 {
			return &eventsOutput{Body: func(ctx huma.Context) { ctx.SetStatus(http.StatusNoContent) }}, nil
		}
	}
	return a.stream(func(ctx context.Context, out *sender) error {
		f := follower{api: a, id: c.ID, seen: after, out: out}
		return f.run(ctx, place)
	})
}

// follower sends the events of one call, each once and in order. Those that the
// feed has come from there, since the store may lag behind; the others come from
// the store.
type follower struct {
	api  *API
	id   string
	seen int64 // the Seq of the last event that was sent
	over bool  // that was the call's last
	out  *sender
}

func (f *follower) run(ctx context.Context, place int64) error {
	if err := f.catchUp(ctx, 0); err != nil {
		return err
	}
	for {
		p := f.api.feed.read(place)
		for _, e := range p.entries {
			if e.CallID != f.id || e.Seq <= f.seen {
				continue
			}
			if err := f.catchUp(ctx, e.Seq); err != nil {
				return err
			}
			f.send(ctx, e.Event)
		}
		place = p.first + int64(len(p.entries))
		if err := f.out.flush(); err != nil || f.over || p.closed {
			return err
		}
		if len(p.entries) > 0 {
			continue
		}
		quiet, err := f.out.wait(ctx, p.changed)
		if err != nil {
			return err
		}
		if quiet { // in case that the feed has lost the last one
			if err := f.catchUp(ctx, 0); err != nil {
				return err
			}
		}
	}
}

// catchUp sends what the store has, up to the event numbered before, which is
// in hand; 0 means all.
func (f *follower) catchUp(ctx context.Context, before int64) error {
	if before == f.seen+1 {
		return nil
	}
	events, err := f.api.cfg.Service.Events(ctx, f.id, f.seen)
	if err != nil {
		return err
	}
	for _, e := range events {
		if before == 0 || e.Seq < before {
			f.send(ctx, e)
		}
	}
	return nil
}

func (f *follower) send(ctx context.Context, e call.Event) {
	f.out.send(f.api.event(ctx, strconv.FormatInt(e.Seq, 10), e))
	f.seen = e.Seq
	f.over = f.over || e.Type == call.EventErased || e.Type == call.EventState && e.State.Terminal() // others may follow
}

// stream answers with a stream of events, which follow sends.
func (a *API) stream(follow func(context.Context, *sender) error) (*eventsOutput, error) {
	select {
	case a.streams <- struct{}{}:
	default:
		return nil, overloaded.with("as many event streams are open as are allowed")
	}
	return &eventsOutput{Body: func(ctx huma.Context) {
		defer func() { <-a.streams }()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // for nginx
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		out := &sender{w: w, control: http.NewResponseController(w)}
		out.buf.WriteString("retry: 2000\n\n")
		// A client that has gone is no error.
		if err := follow(ctx.Context(), out); err != nil && ctx.Context().Err() == nil {
			a.log.Warn("event stream ended", "err", err)
		}
	}}, nil
}

// sender writes server-sent events.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

// send adds an event to what the next flush writes.
func (s *sender) send(e event) {
	data, err := json.Marshal(e)
	if err != nil {
		panic(err) // text, numbers and times
	}
	fmt.Fprintf(&s.buf, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data)
}

// flush writes what there is.
func (s *sender) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	// Not every ResponseWriter has deadlines; the server's own then holds.
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.buf.WriteTo(s.w)
	if err != nil {
		return err
	}
	return s.control.Flush()
}

// wait returns when changed is closed, or after a heartbeat, with quiet set.
func (s *sender) wait(ctx context.Context, changed <-chan struct{}) (quiet bool, err error) {
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	select {
	case <-changed:
		return false, nil
	case <-timer.C:
		s.buf.WriteString(": still here\n\n")
		return true, s.flush()
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
