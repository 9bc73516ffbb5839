package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const line = "+12025550100"

// town is a network in memory with a carrier, and a provider that reaches it.
func town(t *testing.T) (*memnet.Network, *sim.Carrier, call.Provider) {
	t.Helper()
	network := memnet.New()
	carrier := sim.New(sim.Config{Dial: network.DialContext, InTheClear: true})
	transport := &http.Transport{DialContext: network.DialContext}
	listener, err := network.Listen("127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	rest := &http.Server{Handler: carrier, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- rest.Serve(listener) }()
	t.Cleanup(func() {
		for _, end := range []func() error{carrier.Close, rest.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
		<-served
		transport.CloseIdleConnections()
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	return network, carrier, &twilio.Provider{
		AccountSID: carrier.AccountSID(), AuthToken: sim.DefaultAuthToken,
		BaseURL: "http://127.0.0.1:7001", Transport: transport,
	}
}

func TestCallsGoOnWhenTheServerIsToldToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, carrier, provider := town(t)
		svc, err := newService("https://shop.test/phone/", provider, call.NewMemoryStore())
		if err != nil {
			t.Fatal(err)
		}
		listener, err := network.Listen("shop.test:443")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- serve(ctx, listener, svc) }()

		carrier.Assign(line, svc.IncomingURL(provider.Name()))
		talk, err := carrier.Phone("+12025550199").Call(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(2 * time.Second)
		stop()
		talk.Listen(time.Minute)
		select {
		case err := <-done:
			t.Fatalf("the server has stopped during a call: %v", err)
		case <-talk.Done():
			t.Fatal("the call was cut off")
		default:
		}
		if page := get(t, network, "http://shop.test:443/"); page != "Call us!" {
			t.Errorf("meanwhile the shop says %q", page)
		}
		other, err := carrier.Phone("+12025550142").Call(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		<-other.Done() // it was told to call again
		talk.Hangup()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// get asks for a page of the shop.
func get(t *testing.T, network *memnet.Network, url string) string {
	t.Helper()
	transport := &http.Transport{DialContext: network.DialContext, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(page))
}
