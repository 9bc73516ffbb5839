package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// routes are what a file says about who answers: see routes.example.json.
type routes struct {
	agents  map[string]agentRule
	queues  map[string]queue.Queue
	vips    routing.ByPattern
	numbers map[telephony.Number]numberRule
}

// agentRule is how many calls an agent takes at once (0: any number), and who
// takes more.
type agentRule struct {
	Capacity int    `json:"capacity"`
	Backup   string `json:"backup"`
}

// vipRule is who answers callers of a kind, whatever they call: an agent, or a
// queue.
type vipRule struct {
	Caller routing.Pattern `json:"caller"`
	Agent  string          `json:"agent"`
}

// numberRule is who answers a number: one agent or queue, or of a group the agent
// with the fewest calls; during hours, if there are any, and otherwise whoever is
// named in closed.
type numberRule struct {
	Number telephony.Number `json:"number"`
	Agent  string           `json:"agent"`
	Group  []string         `json:"group"`
	Hours  *routing.Hours   `json:"hours"`
	Closed string           `json:"closed"`
}

// agentNames are those that this server can have.
var agentNames = []string{"receptionist", "echo", "realtime"}

func checkAgent(name string) error {
	if !slices.Contains(agentNames, name) {
		return fmt.Errorf("there is no agent %.40q", name)
	}
	return nil
}

// checkAnswering checks the name of an agent or a queue.
func (r *routes) checkAnswering(name string) error {
	if _, ok := r.queues[name]; !ok && !slices.Contains(agentNames, name) {
		return fmt.Errorf("there is no agent or queue %.40q", name)
	}
	return nil
}

const largestRoutes = 1 << 20 // bytes

// readRoutes reads a file of routes. Its errors begin with the line.
func readRoutes(path string) (*routes, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, largestRoutes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > largestRoutes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, largestRoutes)
	}
	r, err := parseRoutes(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return r, nil
}

func parseRoutes(data []byte) (*routes, error) {
	var whole json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, &whole); errors.As(err, &syntax) {
		return nil, fmt.Errorf("%d: %w", lineAt(data, syntax.Offset), err)
	}
	r := &routes{agents: make(map[string]agentRule), queues: make(map[string]queue.Queue), numbers: make(map[telephony.Number]numberRule)}
	p := &routesParser{data: data, Decoder: json.NewDecoder(bytes.NewReader(data))}
	p.DisallowUnknownFields()
	err := p.each('{', func(section string) error {
		switch section {
		case "agents":
			return p.each('{', func(name string) error { return r.addAgent(p, name) })
		case "queues": // before those who name them
			return p.each('{', func(name string) error { return r.addQueue(p, name) })
		case "vips":
			return p.each('[', func(string) error { return r.addVIP(p) })
		case "numbers":
			return p.each('[', func(string) error { return r.addNumber(p) })
		}
		return fmt.Errorf("there is no %.40q: there are agents, queues, vips and numbers", section)
	})
	if err != nil {
		return nil, fmt.Errorf("%d: %w", p.line(), err)
	}
	return r, nil
}

func (r *routes) addAgent(p *routesParser, name string) error {
	var rule agentRule
	if err := errors.Join(checkAgent(name), p.Decode(&rule)); err != nil {
		return err
	}
	r.agents[name] = rule
	switch {
	case rule.Capacity < 0:
		return errors.New("capacity is below 0")
	case rule.Backup == name:
		return fmt.Errorf("%s is its own backup", name)
	case rule.Backup != "":
		return checkAgent(rule.Backup)
	}
	return nil
}

func (r *routes) addVIP(p *routesParser) error {
	var rule vipRule
	if err := p.Decode(&rule); err != nil {
		return err
	}
	r.vips = append(r.vips, routing.PatternRule{Caller: rule.Caller, AgentID: rule.Agent})
	return errors.Join(rule.Caller.Validate(), r.checkAnswering(rule.Agent))
}

func (r *routes) addNumber(p *routesParser) error {
	var rule numberRule
	if err := p.Decode(&rule); err != nil {
		return err
	}
	_, twice := r.numbers[rule.Number]
	r.numbers[rule.Number] = rule
	switch {
	case !rule.Number.Valid():
		return errors.New("number is not in E.164 form")
	case twice:
		return errors.New("the number is there twice")
	case (rule.Agent == "") == (len(rule.Group) == 0):
		return errors.New("either an agent or a group is needed")
	case rule.Closed != "" && rule.Hours == nil:
		return errors.New("closed without hours")
	}
	for _, name := range rule.Group {
		if err := checkAgent(name); err != nil {
			return err
		}
	}
	for _, name := range []string{rule.Agent, rule.Closed} {
		if name == "" {
			continue // is left out
		}
		if err := r.checkAnswering(name); err != nil {
			return err
		}
	}
	if rule.Hours != nil {
		return rule.Hours.Validate()
	}
	return nil
}

// router asks for callers first, then for numbers, and then gives the call to the
// one who answers otherwise.
func (r *routes) router(otherwise string) routing.Router {
	staff, backups := new(routing.Staff), make(map[string]string)
	for name, rule := range r.agents {
		staff.Set(name, routing.Availability{Capacity: rule.Capacity})
		if rule.Backup != "" {
			backups[name] = rule.Backup
		}
	}
	counted := func(r routing.Router) routing.Router { return routing.Backup{Router: r, Staff: staff, For: backups} }
	byNumber := make(map[telephony.Number]routing.Router)
	for number, rule := range r.numbers {
		var answers routing.Router = routing.LeastBusy{Staff: staff, Agents: rule.Group}
		if rule.Agent != "" {
			answers = counted(routing.Always(rule.Agent))
		}
		if rule.Hours != nil {
			answers = routing.During(rule.Hours, answers)
		}
		if rule.Closed != "" {
			answers = routing.First(answers, counted(routing.Always(rule.Closed)))
		}
		byNumber[number] = answers
	}
	return routing.First(
		counted(r.vips),
		routing.RouterFunc(func(ctx context.Context, req *routing.Request) (routing.Decision, error) {
			answers, ok := byNumber[req.To]
			if !ok {
				return routing.Decision{}, routing.ErrNoRoute
			}
			return answers.Route(ctx, req)
		}),
		counted(routing.Always(otherwise)),
	)
}

// routesParser reads JSON and knows where it is.
type routesParser struct {
	*json.Decoder
	data  []byte
	began int64 // where what is being read begins
}

// each reads an object, or a list if open is '[', and calls read at each value in
// it. A name that is there twice is refused.
func (p *routesParser) each(open json.Delim, read func(name string) error) error {
	p.began = p.InputOffset()
	if token, err := p.Token(); err != nil {
		return err
	} else if token != open {
		return fmt.Errorf("a %v is wanted here", open)
	}
	seen := make(map[string]bool)
	for p.More() {
		p.began = p.InputOffset()
		name := ""
		if open == '{' {
			token, err := p.Token()
			if err != nil {
				return err
			}
			if name = token.(string); seen[name] {
				return fmt.Errorf("%.40q is there twice", name)
			}
			seen[name] = true
		}
		if err := read(name); err != nil {
			return err
		}
	}
	_, err := p.Token()
	return err
}

// line is the line where what is being read begins.
func (p *routesParser) line() int {
	rest := bytes.TrimLeft(p.data[p.began:], " \t\r\n,:")
	return lineAt(p.data, int64(len(p.data)-len(rest)))
}

// lineAt is the number of the line of a byte.
func lineAt(data []byte, at int64) int { return 1 + bytes.Count(data[:at], []byte("\n")) }
