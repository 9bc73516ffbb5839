package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestRoutesDecideAsTheFileSays(t *testing.T) {
	r, err := readRoutes("routes.example.json")
	if err != nil {
		t.Fatal(err)
	}
	router := r.router("echo")
	monday := time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC) // 10:00 in New York
	route := func(from, to telephony.Number, at time.Time) routing.Decision {
		d, err := router.Route(context.Background(), &routing.Request{From: from, To: to, At: at})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const vip, stranger = "+12025550199", "+12125550100"
	for _, tt := range []struct {
		name     string
		from, to telephony.Number
		at       time.Time
		agent    string
	}{
		{"the first of a group that has no call", stranger, ownNumber, monday, "receptionist"},
		{"the other one, who has fewer", stranger, ownNumber, monday, "echo"},
		{"before hours", stranger, ownNumber, monday.Add(-2 * time.Hour), "echo"},
		{"on a holiday", stranger, ownNumber, time.Date(2026, 12, 25, 15, 0, 0, 0, time.UTC), "echo"},
		{"a caller of note, before hours", vip, ownNumber, monday.Add(-2 * time.Hour), "receptionist"},
		{"another number", stranger, "+12025550101", monday, "echo"},
		{"a queue", stranger, "+12025550102", monday, "support"},
	} {
		if d := route(tt.from, tt.to, tt.at); d.AgentID != tt.agent || len(d.Failed) > 0 {
			t.Errorf("%s: %s (%s, %v), want %s", tt.name, d.AgentID, d.Reason, d.Failed, tt.agent)
		}
	}
	for range 18 {
		route(vip, ownNumber, monday)
	}
	if d := route(vip, ownNumber, monday); d.AgentID != "echo" || !strings.Contains(d.Reason, "backup of receptionist") {
		t.Errorf("when the receptionist has 20 calls: %s (%s)", d.AgentID, d.Reason)
	}
}

func TestServerAnswersAsItsRoutesSay(t *testing.T) {
	t.Parallel()
	r := start(t, "ROUTES", "routes.example.json", "DEFAULT_AGENT", "echo")
	talk, err := r.carrier.Phone("+12025550199").Call(t.Context(), ownNumber) // a caller of note
	if err != nil {
		t.Fatal(err)
	}
	if err := talk.WaitSpeech(5 * time.Second); err != nil { // an echo would not begin
		t.Fatal(err)
	}
	_ = talk.Press("9")
	<-talk.Done()
	var list struct {
		Calls []struct {
			AgentID string `json:"agent_id"`
		}
	}
	r.json(r.ask("mine", "GET", "api/calls?direction=inbound", ""), 200, &list)
	if len(list.Calls) != 1 || list.Calls[0].AgentID != "receptionist" {
		t.Errorf("calls %+v, want one of the receptionist's", list.Calls)
	}
}

func TestWrongRoutesAreRefusedWithTheirLine(t *testing.T) {
	const number = "{\n\"numbers\": [\n  {\"number\": \"+12025550100\", \"agent\": \"echo\"},\n  "
	for name, tt := range map[string]struct{ text, says string }{
		"nothing":                      {"", "1: unexpected end of JSON input"},
		"a list":                       {"[]", "1: a { is wanted here"},
		"no JSON":                      {"{\n\"vips\": [\n  nobody]}", "3: invalid character"},
		"an end that is missing":       {"{\n\"vips\": [\n", "3: "},
		"something behind the end":     {"{}\n{}", "2: invalid character"},
		"a section that is none":       {"{\n\"desks\": {}}", `2: there is no "desks"`},
		"a queue for nobody":           {"{\"queues\": {\n\"support\": {}}}", "2: queue: config: queue \"support\": it has no agents"},
		"a queue for nobody we have":   {"{\"queues\": {\n\"support\": {\"agents\": [\"parrot\"]}}}", `2: queue: config: queue "support": agent "parrot"`},
		"a queue for ever":             {"{\"queues\": {\n\"support\": {\"agents\": [\"echo\"], \"max_wait_seconds\": 86401}}}", "2: max_wait_seconds is above 86400"},
		"a queue with an agent's name": {"{\"queues\": {\n\"echo\": {\"agents\": [\"receptionist\"]}}}", `2: queue: config: queue "echo"`},
		"a queue that comes too late":  {number + "{\"number\": \"+12025550101\", \"agent\": \"support\"}],\n\"queues\": {\"support\": {\"agents\": [\"echo\"]}}}", `4: there is no agent or queue "support"`},
		"a queue in a group":           {"{\"queues\": {\"support\": {\"agents\": [\"echo\"]}},\n\"numbers\": [{\"number\": \"+12025550101\", \"group\": [\"support\"]}]}", `2: there is no agent "support"`},
		"a section twice":              {"{\"vips\": [],\n\"vips\": []}", `2: "vips" is there twice`},
		"an agent that is none":        {"{\"agents\": {\n\n\"parrot\": {}}}", `3: there is no agent "parrot"`},
		"a backup that is none":        {"{\"agents\": {\n\"echo\": {\"backup\": \"parrot\"}}}", `2: there is no agent "parrot"`},
		"somebody's own backup":        {"{\"agents\": {\n\"echo\": {\"backup\": \"echo\"}}}", "2: echo is its own backup"},
		"no room at all":               {"{\"agents\": {\n\"echo\": {\"capacity\": -1}}}", "2: capacity"},
		"a pattern that is none":       {"{\"vips\": [\n{\"caller\": \"+1*2\", \"agent\": \"echo\"}]}", "2: routing: pattern"},
		"a field that is none":         {number + `{"numbr": "+12025550101"}]}`, `4: json: unknown field "numbr"`},
		"a number that is none":        {number + `{"number": "2025550101", "agent": "echo"}]}`, "4: number is not in E.164 form"},
		"a number twice":               {number + `{"number": "+12025550100", "agent": "echo"}]}`, "4: the number is there twice"},
		"nobody who answers":           {number + `{"number": "+12025550101"}]}`, "4: either an agent or a group"},
		"an agent and a group":         {number + `{"number": "+12025550101", "agent": "echo", "group": ["echo"]}]}`, "4: either an agent or a group"},
		"a member without a name":      {number + `{"number": "+12025550101", "group": ["echo", ""]}]}`, `4: there is no agent ""`},
		"closed but for no hours":      {number + `{"number": "+12025550101", "agent": "echo", "closed": "echo"}]}`, "4: closed without hours"},
		"hours without a zone":         {number + `{"number": "+12025550101", "agent": "echo", "hours": {"week": "Mon 09:00-10:00"}}]}`, "4: routing: hours"},
		"hours that are never":         {number + `{"number": "+12025550101", "agent": "echo", "hours": {"zone": "UTC"}}]}`, "4: routing: "},
		"a number that is of no type":  {number + `{"number": 12}]}`, "4: json: cannot unmarshal"},
	} {
		if _, err := parseRoutes([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add([]byte(`{"agents":{"echo":{"capacity":1}},"vips":[{"caller":"+1*","agent":"echo"}],"numbers":[{"number":"+12025550100","group":["echo"],"hours":{"zone":"UTC","week":"Mon 09:00-10:00"},"closed":"echo"}]}`))
	f.Add([]byte(`{"queues":{"line":{"agents":["echo"],"max":1,"max_wait_seconds":9,"callbacks":true}},"numbers":[{"number":"+12025550100","agent":"line"}]}`))
	f.Add([]byte(`{"vips":[`))
	f.Add([]byte(`{"numbers":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRoutes(data)
		if err != nil {
			return
		}
		d, err := r.router("echo").Route(context.Background(), &routing.Request{From: "+12025550123", To: ownNumber})
		if err != nil || r.checkAnswering(d.AgentID) != nil {
			t.Errorf("%+v, %v", d, err)
		}
	})
}
