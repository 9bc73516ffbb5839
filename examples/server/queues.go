package main

import (
	"context"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
	queuestore "github.com/switchboard-voice/switchboard/call/queue/sqlstore"
	"github.com/switchboard-voice/switchboard/routing"
)

// queueRule is for whom callers wait until somebody is free, how many of them and
// how long; who answers those who wait no longer; and whether they may be called
// back instead. An agent of whom the routes say nothing has one call at a time.
type queueRule struct {
	Agents         []string `json:"agents"`
	Max            int      `json:"max"`
	MaxWaitSeconds int      `json:"max_wait_seconds"`
	Backup         string   `json:"backup"`
	Callbacks      bool     `json:"callbacks"`
}

const maxWaitSeconds = 24 * 60 * 60

func (r *routes) addQueue(p *routesParser, name string) error {
	var rule queueRule
	if err := p.Decode(&rule); err != nil {
		return err
	}
	if rule.MaxWaitSeconds > maxWaitSeconds {
		return fmt.Errorf("max_wait_seconds is above %d", maxWaitSeconds)
	}
	agents := make(call.Agents)
	for _, name := range agentNames {
		agents[name] = call.Echo // whatever they do: it is checked whether they exist
	}
	r.queues[name] = rule.queue()
	_, err := queue.New(queue.Config{Agents: agents, Queues: map[string]queue.Queue{name: r.queues[name]}})
	return err
}

// queue is the queue of a rule: with music, and words between.
func (r queueRule) queue() queue.Queue {
	q := queue.Queue{
		Agents: r.Agents, Max: r.Max, MaxWait: time.Duration(r.MaxWaitSeconds) * time.Second, Backup: r.Backup,
		Announce: func(_ context.Context, c *call.Call, at queue.Standing) (call.Utterance, error) {
			said := []prompt{prompts["wait"]}
			if at.Position == 1 {
				said = append(said, prompts["first"])
			}
			if r.Callbacks && c.From != "" {
				said = append(said, prompts["callback"])
			}
			return inTurn(said), nil
		},
		Promise: func(context.Context, *call.Call) (call.Utterance, error) {
			return prompts["promise"].utterance(), nil
		},
	}
	if r.Callbacks {
		q.CallbackKey = "*"
	}
	return q
}

// inTurn says one prompt after the other.
func inTurn(all []prompt) (u call.Utterance) {
	var sounds []audio.Reader
	for _, p := range all {
		sounds = append(sounds, p.sound())
		if u.Text != "" {
			u.Text += " "
		}
		u.Text += p.words
	}
	u.Audio = audio.Concat(sounds...)
	return u
}

// openQueues makes the queues of the routes, if there are any, and returns the
// agents with them. Places are kept in the database of the calls.
func (s *server) openQueues(agents call.Agents) (call.Agents, error) {
	if s.cfg.routes == nil || len(s.cfg.routes.queues) == 0 {
		return agents, nil
	}
	cfg := queue.Config{Agents: agents, Queues: s.cfg.routes.queues, Logger: s.log}
	if s.cfg.database != "" {
		store, err := queuestore.Open(context.Background(), s.cfg.database)
		if err != nil {
			return nil, err
		}
		s.closer = append(s.closer, store.Close)
		cfg.Store = store
	}
	var err error
	if s.desk, err = queue.New(cfg); err != nil {
		return nil, fmt.Errorf("%w: ROUTES: %w", errSettings, err)
	}
	for name := range agents { // whatever was said at the last start
		rule, ok := s.cfg.routes.agents[name]
		if !ok {
			rule.Capacity = 1
		}
		if err := s.desk.SetAgent(context.Background(), name, routing.Availability{Capacity: rule.Capacity}); err != nil {
			return nil, err
		}
	}
	return s.desk.Agents(), nil
}

// giveCallers gives those who wait to agents until ctx ends.
func (s *server) giveCallers(ctx context.Context) {
	if s.desk != nil {
		_ = s.desk.Run(ctx, s.svc) // whose error is that of ctx
	}
}
