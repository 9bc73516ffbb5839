package sim_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    float64
	}{
		{"no To", []string{"To", ""}, 21201},
		{"no From", []string{"From", ""}, 21213},
		{"no instructions", []string{"Url", ""}, 21205},
		{"a URL that is none", []string{"Url", "ftp://app.test"}, 21205},
		{"a To that is no number", []string{"To", "+1500"}, 21211},
		{"a From that is no number", []string{"From", "5005550001"}, 21212},
		{"a From that is not ours", []string{"From", "+15005550009"}, 21210},
		{"long TwiML", []string{"Url", "", "Twiml", strings.Repeat("x", 4001)}, 20001},
		{"a bad method", []string{"Method", "PUT"}, 20001},
		{"a bad timeout", []string{"Timeout", "-1"}, 20001},
		{"bad digits", []string{"SendDigits", "1,2"}, 20001},
		{"a bad status callback", []string{"StatusCallback", "/status"}, 20001},
		{"bad machine detection", []string{"MachineDetection", "true"}, 20001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{CallerIDs: []string{us}}, func(t *testing.T, a *app) {
				status, v := a.rest("POST", "/Calls.json", a.order(tt.changes...))
				if status != 400 || v["code"] != tt.want || v["status"] != 400.0 || v["message"] == "" || v["more_info"] == "" {
					t.Errorf("%d, %v; want 400, %v", status, v, tt.want)
				}
				if n := len(a.carrier.Calls()); n != 0 {
					t.Errorf("%d calls were placed", n)
				}
			})
		})
	}
}

func TestCredentials(t *testing.T) {
	inBubble(t, sim.Config{Keys: map[string]telephony.Secret{"SK1": "secret", "SK2": ""}}, func(t *testing.T, a *app) {
		tests := []struct {
			name, user, password string
			want                 int
		}{
			{"the account's", a.carrier.AccountSID(), a.carrier.AuthToken(), 200},
			{"a key's", "SK1", "secret", 200},
			{"a key without a secret", "SK2", "", 401},
			{"a wrong token", a.carrier.AccountSID(), "x", 401},
			{"another account", "AC1", a.carrier.AuthToken(), 401},
			{"none", "", "", 401},
		}
		for _, tt := range tests {
			req, _ := http.NewRequest("GET", "http://api.test/2010-04-01/Accounts/"+a.carrier.AccountSID()+"/Calls.json", nil)
			req.SetBasicAuth(tt.user, tt.password)
			resp, err := a.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tt.want || tt.want == 401 && !strings.Contains(string(body), "20003") {
				t.Errorf("%s: %d, %s; want %d", tt.name, resp.StatusCode, body, tt.want)
			}
		}
	})
}

func TestUnknownResources(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		for _, path := range []string{"/Calls/CA1.json", "/Calls/CA1", "/Messages.json"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				if status, v := a.rest(method, path, url.Values{"Status": {"completed"}}); status != 404 || v["code"] != 20404.0 {
					t.Errorf("%s %s: %d, %v; want 404, 20404", method, path, status, v)
				}
			}
		}
		if status, _ := a.rest("PUT", "/Calls.json", nil); status != 405 {
			t.Errorf("PUT: %d; want 405", status)
		}
	})
}

func TestListFetchAndDelete(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Pause length="3600"/></Response>` }
		first := a.place()
		time.Sleep(24 * time.Hour)
		second := a.place("To", "+14155550101")
		third := a.place()
		time.Sleep(2 * time.Second)
		tests := []struct {
			name  string
			query url.Values
			want  []string
		}{
			{"all, newest first", url.Values{}, []string{third, second, first}},
			{"by To", url.Values{"To": {them}}, []string{third, first}},
			{"by From", url.Values{"From": {"+15005550009"}}, nil},
			{"by status", url.Values{"Status": {"completed"}}, []string{first}},
			{"started today or later", url.Values{"StartTime>": {"2000-01-02"}, "To": {them}}, []string{third}},
			{"started yesterday or before", url.Values{"StartTime<": {"2000-01-01"}}, []string{first}},
			{"started on a day", url.Values{"StartTime": {"2000-01-01"}}, []string{first}},
			{"ended on a day", url.Values{"EndTime": {"2000-01-01"}}, []string{first}},
			{"started at a time or later", url.Values{"StartTime>": {"2000-01-01T12:00:00Z"}}, []string{third, second}},
			{"the second page", url.Values{"PageSize": {"2"}, "Page": {"1"}}, []string{first}},
		}
		for _, tt := range tests {
			status, v := a.rest("GET", "/Calls.json?"+tt.query.Encode(), nil)
			var got []string
			for _, c := range v["calls"].([]any) {
				got = append(got, c.(map[string]any)["sid"].(string))
			}
			if status != 200 || strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("%s: %d, %v; want %v", tt.name, status, got, tt.want)
			}
		}
		_, page := a.rest("GET", "/Calls.json?PageSize=2", nil)
		if next, _ := page["next_page_uri"].(string); !strings.Contains(next, "Page=1") || page["previous_page_uri"] != nil {
			t.Errorf("pages: %v, %v", page["next_page_uri"], page["previous_page_uri"])
		}
		if status, _ := a.rest("GET", "/Calls.json?StartTime=x", nil); status != 400 {
			t.Errorf("a bad date: %d; want 400", status)
		}
		if status, v := a.rest("DELETE", "/Calls/"+third+".json", nil); status != 400 || v["code"] != 21220.0 {
			t.Errorf("delete of a live call: %d, %v; want 400, 21220", status, v["code"])
		}
		_, v := a.rest("GET", "/Calls/"+first+".json", nil)
		for name, want := range map[string]any{
			"status": "completed", "duration": "3600", "direction": "outbound-api", "to": them,
			"start_time": "Sat, 01 Jan 2000 00:00:00 +0000", "end_time": "Sat, 01 Jan 2000 01:00:01 +0000",
			"from_formatted": "(500) 555-0001", "answered_by": nil, "price": nil,
		} {
			if v[name] != want {
				t.Errorf("%s = %v; want %v", name, v[name], want)
			}
		}
		if status, _ := a.rest("DELETE", "/Calls/"+first+".json", nil); status != 204 {
			t.Errorf("delete: %d; want 204", status)
		}
		if status, _ := a.rest("GET", "/Calls/"+first+".json", nil); status != 404 {
			t.Errorf("fetch after delete: %d; want 404", status)
		}
	})
}

func TestChangesOfALiveCall(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Pause length="3600"/></Response>` }
		a.carrier.Otherwise(sim.Behavior{Ring: 5 * time.Second})
		sid := a.place()
		time.Sleep(time.Second)
		if status, v := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Twiml": {"<Response/>"}}); status != 400 || v["code"] != 21220.0 {
			t.Errorf("redirect while ringing: %d, %v; want 400, 21220", status, v["code"])
		}
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status, v := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Status": {"canceled"}}); status != 200 || v["status"] != "in-progress" {
			t.Errorf("cancel of an answered call: %d, %v; want no effect", status, v["status"])
		}
		if status, _ := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Status": {"busy"}}); status != 400 {
			t.Errorf("a bad status: %d; want 400", status)
		}
		if status, _ := a.rest("POST", "/Calls/"+sid+".json", url.Values{"TimeLimit": {"9"}, "StatusCallback": {a.base + "/other"}}); status != 200 {
			t.Errorf("change: %d", status)
		}
		<-talk.Done()
		settle()
		if talk.Duration() != 9*time.Second || a.hook("/other").Get("CallStatus") != "completed" {
			t.Errorf("the call lasted %v", talk.Duration())
		}
	})
}

func TestClosedCarrierRefuses(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return stream }
		a.media = func(s *socket) { s.drain() }
		a.carrier.Assign(us, a.base+"/answer")
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.place()
		if err := a.carrier.Close(); err != nil {
			t.Error(err)
		}
		if !errors.Is(talk.Err(), sim.ErrClosed) || talk.HungUpBy() != sim.ByCarrier {
			t.Errorf("ended by %q, %v", talk.HungUpBy(), talk.Err())
		}
		if status, _ := a.rest("POST", "/Calls.json", a.order()); status != 503 {
			t.Errorf("create: %d; want 503", status)
		}
		if _, err := a.carrier.Phone(them).Call(t.Context(), us); !errors.Is(err, sim.ErrClosed) {
			t.Errorf("Call: %v; want ErrClosed", err)
		}
		if _, err := a.carrier.Phone(them).NextTalk(t.Context()); !errors.Is(err, sim.ErrClosed) {
			t.Errorf("NextTalk: %v; want ErrClosed", err)
		}
	})
}
