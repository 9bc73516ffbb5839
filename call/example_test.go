package call_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// A service and a simulated carrier, each on a port of its own. With a provider
// that has an account, the same program calls a telephone.
func Example() {
	carrier := sim.New(sim.Config{InTheClear: true})
	defer carrier.Close()
	carrierAPI := httptest.NewServer(carrier)
	defer carrierAPI.Close()
	carrier.Phone("+12025550142").Behave(sim.Behavior{Ring: 10 * time.Millisecond})

	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Print(err)
		return
	}
	provider := &twilio.Provider{
		AccountSID: carrier.AccountSID(), AuthToken: sim.DefaultAuthToken, BaseURL: carrierAPI.URL,
	}
	defer provider.CloseIdleConnections()
	svc, err := call.New(call.Config{
		PublicURL: "http://" + listener.Addr().String() + "/",
		Providers: []call.Provider{provider},
		Agents: call.Agents{"beep": call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			s.Speak(audio.NewSamples(make([]int16, 800), 8000)) // a tenth of a second
			return nil
		})},
	})
	if err != nil {
		log.Print(err)
		return
	}
	server := &http.Server{Handler: svc.Handler(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	ctx := context.Background()
	defer func() { _ = svc.Shutdown(ctx) }()

	c, err := svc.Place(ctx, call.Request{AgentID: "beep", To: "+12025550142", From: "+12025550100"})
	if err != nil {
		log.Print(err)
		return
	}
	c, err = svc.Wait(ctx, c.ID)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(c.State, c.Cause)
	// Output: completed agent_done
}

// Refusals tell why, and when to come back.
func ExamplePolicies() {
	policy := call.Policies(
		call.Destinations{AllowPrefixes: []string{"+1"}},
		call.DoNotCall(func(_ context.Context, tenant string, to telephony.Number) (bool, error) {
			return to == "+12025550199", nil
		}),
	)
	for _, to := range []telephony.Number{"+12025550142", "+12025550199", "+442079460123"} {
		err := policy.Allow(context.Background(), call.Leg{To: to})
		fmt.Println(to, err)
	}
	// Output:
	// +1202*****42 <nil>
	// +1202*****99 number is not to be called
	// +4420******23 destination: prefix is not on the allow list
}

// An agent that gives its caller to somebody, and takes him back if nobody is
// there.
func ExampleSession_Transfer() {
	desk := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		err := s.Transfer(ctx, call.Transfer{To: "+12025550123", Timeout: 20 * time.Second})
		var unreached *call.TransferError
		if errors.As(err, &unreached) {
			s.Say(call.Utterance{Audio: sorry(), Text: "Nobody is there. Please call again."})
			return nil
		}
		return err
	})
	_ = call.Agents{"desk": desk}
}

func sorry() audio.Reader { return audio.NewSamples(make([]int16, 8000), 8000) }
