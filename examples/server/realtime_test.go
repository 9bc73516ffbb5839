package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/gorilla/websocket"
)

// A model that hangs up at once: the bridge to it has tests of its own.
func TestModelAnswersAndHangsUp(t *testing.T) {
	t.Parallel()
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil || r.URL.Path != "/v1/realtime" || r.Header.Get("Authorization") != "Bearer key" {
			t.Errorf("request for %s: %v", r.URL, err)
			return
		}
		defer ws.Close()
		answers := map[string]string{
			"session.update":  `{"type":"session.updated"}`,
			"response.create": `{"type":"response.done","response":{"id":"1","output":[{"type":"function_call","name":"hang_up","call_id":"2","arguments":"{}"}]}}`,
		}
		for {
			var m struct{ Type string }
			if ws.ReadJSON(&m) != nil {
				return
			}
			if answer := answers[m.Type]; answer != "" && ws.WriteMessage(websocket.TextMessage, []byte(answer)) != nil {
				return
			}
		}
	}))
	defer model.Close()
	r := start(t, "DEFAULT_AGENT", "realtime", "OPENAI_API_KEY", "key", "OPENAI_BASE_URL", model.URL+"/v1")
	id := r.place(`{"agent_id":"realtime","to_phone":"+12025550142","from_phone":"+12025550100"}`)
	r.follow(id)
	var c callView
	r.json(r.ask("mine", "GET", "api/calls/"+id, ""), 200, &c)
	if c.Status != "completed" || c.EndReason != "agent_done" {
		t.Errorf("call %+v, want that the model hung up", c)
	}
}

func TestModelIsNeededOnlyWhereItIsNamed(t *testing.T) {
	for _, routes := range []string{
		`{"agents":{"realtime":{}}}`,
		`{"agents":{"echo":{"backup":"realtime"}}}`,
		`{"vips":[{"caller":"+1202*","agent":"realtime"}]}`,
		`{"numbers":[{"number":"+12025550100","agent":"realtime"}]}`,
		`{"numbers":[{"number":"+12025550100","group":["echo","realtime"]}]}`,
		`{"queues":{"all":{"agents":["realtime"]}}}`,
	} {
		path := t.TempDir() + "/routes.json"
		if err := os.WriteFile(path, []byte(routes), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parseSettings(nil, from("ROUTES", path)); err == nil || err.Error() != "OPENAI_API_KEY is not set, which the agent realtime needs" {
			t.Errorf("%s: error %v", routes, err)
		}
		if _, err := parseSettings(nil, from("ROUTES", path, "OPENAI_API_KEY", "key")); err != nil {
			t.Errorf("%s: %v", routes, err)
		}
	}
	if _, err := parseSettings(nil, from("ROUTES", "routes.example.json")); err != nil {
		t.Error(err)
	}
}
