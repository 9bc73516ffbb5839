package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/examples/realtime"
)

// agents are those that this server has. The model is there if it can be reached.
func (s *server) agents() call.Agents {
	agents := call.Agents{
		"receptionist": receptionist{transferTo: s.cfg.transferTo},
		"echo":         call.Echo,
	}
	if s.cfg.transcription.openaiSet() == nil {
		agents["realtime"] = s.realtime()
	}
	return agents
}

// realtime is a model of OpenAI's that answers the phone of a small company.
func (s *server) realtime() *realtime.Agent {
	a := &realtime.Agent{
		Key:     s.cfg.transcription.openai.Key,
		BaseURL: s.cfg.transcription.openai.BaseURL,
		Instructions: "You answer the telephone of a small company. Be friendly and brief: one or two sentences at a time. " +
			"If you do not know something, say so. When the caller is done, say goodbye and call hang_up.",
		Greeting: "Greet the caller and ask how you can help.",
		Sorry:    prompts["nobody"].utterance,
		Functions: []realtime.Function{{
			Name: "hang_up", Description: "Ends the call, once the goodbye was said.",
			Call: func(context.Context, *call.Session, json.RawMessage) (any, error) { return nil, realtime.ErrGoodbye },
		}},
	}
	if to := s.cfg.transferTo; to != "" {
		a.Functions = append(a.Functions, realtime.Function{
			Name: "transfer", Description: "Connects the caller to a person in the office.",
			Call: func(ctx context.Context, session *call.Session, _ json.RawMessage) (any, error) {
				if err := session.Drain(ctx); err != nil {
					return nil, err
				}
				if err := session.Transfer(ctx, call.Transfer{To: to}); err != nil {
					return nil, errors.New(why(err))
				}
				return "connected", nil
			},
		})
	}
	return a
}

// asksRealtime reports whether somebody is to be answered by the model.
func (s *settings) asksRealtime() bool {
	return s.defaultAgent == "realtime" || s.routes != nil && s.routes.name("realtime")
}

// name reports whether the routes give calls to an agent.
func (r *routes) name(agent string) bool {
	for name, rule := range r.agents {
		if name == agent || rule.Backup == agent {
			return true
		}
	}
	for _, q := range r.queues {
		if q.Backup == agent || slices.Contains(q.Agents, agent) {
			return true
		}
	}
	for _, v := range r.vips {
		if v.AgentID == agent {
			return true
		}
	}
	for _, n := range r.numbers {
		if n.Agent == agent || n.Closed == agent || slices.Contains(n.Group, agent) {
			return true
		}
	}
	return false
}
