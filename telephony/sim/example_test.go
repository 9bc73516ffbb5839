package sim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// An application places a call over the REST API; a person answers it, hears
// what the application says, and hangs up.
func Example() {
	carrier := sim.New(sim.Config{})
	defer carrier.Close()
	api := httptest.NewServer(carrier)
	defer api.Close()

	carrier.Phone("+12025550123").Behave(sim.Behavior{
		Ring: 10 * time.Millisecond,
		Talk: func(t *sim.Talk) {
			if err := t.WaitSpeech(5 * time.Second); err != nil {
				fmt.Println("nobody spoke:", err)
			}
			t.WaitSilence(100*time.Millisecond, 5*time.Second)
			t.Hangup()
		},
	})

	account := api.URL + "/2010-04-01/Accounts/" + carrier.AccountSID()
	form := url.Values{
		"To":    {"+12025550123"},
		"From":  {"+12025550100"},
		"Twiml": {"<Response><Say>Hi</Say><Pause length='60'/></Response>"},
	}
	req, _ := http.NewRequest("POST", account+"/Calls.json", strings.NewReader(form.Encode()))
	req.SetBasicAuth(carrier.AccountSID(), carrier.AuthToken())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println("create:", resp.Status)

	talk, err := carrier.Phone("+12025550123").NextTalk(req.Context())
	if err != nil {
		fmt.Println(err)
		return
	}
	<-talk.Done()
	fmt.Println("call:", carrier.Calls()[0].Status, "by the", talk.HungUpBy())
	fmt.Println("heard:", talk.Playback()[0].End()-talk.Playback()[0].At)
	// Output:
	// create: 201 Created
	// call: completed by the callee
	// heard: 120ms
}

// A warm transfer: the caller waits in a conference, with music, until an agent
// joins. When the agent has left, the caller hears what comes then.
func Example_conference() {
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		switch {
		case r.FormValue("DialCallStatus") != "":
			fmt.Fprint(w, `<Response><Hangup/></Response>`)
		case r.FormValue("Direction") == "inbound":
			fmt.Fprint(w, `<Response><Dial action="/done"><Conference beep="false">support</Conference></Dial></Response>`)
		default:
			fmt.Fprint(w, `<Response><Dial><Conference beep="false" endConferenceOnExit="true">support</Conference></Dial></Response>`)
		}
	}))
	defer application.Close()
	carrier := sim.New(sim.Config{})
	defer carrier.Close()
	api := httptest.NewServer(carrier)
	defer api.Close()

	const caller, agent, line = "+12025550123", "+12025550124", "+12025550100"
	carrier.Assign(line, application.URL)
	talk, err := carrier.Phone(caller).Call(context.Background(), line)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("music:", talk.WaitSpeech(5*time.Second) == nil)

	carrier.Phone(agent).Behave(sim.Behavior{Talk: func(t *sim.Talk) {
		t.WaitConnected(5 * time.Second)
		t.Press("1")
		t.Hangup()
	}})
	form := url.Values{"To": {agent}, "From": {line}, "Url": {application.URL}}
	req, _ := http.NewRequest("POST", api.URL+"/2010-04-01/Accounts/"+carrier.AccountSID()+"/Calls.json", strings.NewReader(form.Encode()))
	req.SetBasicAuth(carrier.AccountSID(), carrier.AuthToken())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	<-talk.Done()
	fmt.Println("key of the agent:", talk.Keys())
	fmt.Println("ended by the", talk.HungUpBy())
	// Output:
	// music: true
	// key of the agent: 1
	// ended by the callee
}
