// Package calltest helps to test what plugs into package call, and agents, with
// no telephone and in no time.
//
// A [Network] is a telephone network in memory: a simulated carrier with
// scripted phones, and the carrier's real adapter in front of it, which speak
// the real protocol over in-memory pipes. In a testing/synctest bubble a call of
// minutes takes milliseconds.
package calltest

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// PublicURL is a public URL for services on a Network. Any other one will do.
const PublicURL = "https://calls.test/phone/"

// Number is the number at which a Network's service is called, if Connect is
// given no other.
const Number = "+12025550100"

// Network is a telephone network. Give its Provider to a Service, then Connect
// the two.
type Network struct {
	// Provider is the carrier's adapter, named "sim", with all its powers.
	Provider call.Provider
	// Carrier is the company behind it, to script phones and misbehave.
	Carrier *sim.Carrier

	t        testing.TB
	pipe     *memnet.Network
	adapter  func(c *sim.Carrier, base string, rt http.RoundTripper) call.Provider
	machine  *Machine // whose Provider is that of the network
	machines []*Machine
}

// Connections is how many connections Provider has opened to the carrier.
func (n *Network) Connections() int { return int(n.machine.opened.Load()) }

// carrierHost is where the carrier's REST API is, on the network in memory.
const carrierHost = "127.0.0.1:7001"

// NewNetwork returns a network of Twilio that ends with the test. Faults are
// what its carrier does wrong; usually none is given.
func NewNetwork(t testing.TB, faults ...sim.Faults) *Network {
	t.Helper()
	return newNetwork(t, sim.Twilio, faults, func(c *sim.Carrier, base string, rt http.RoundTripper) call.Provider {
		return &twilio.Provider{
			ProviderName: "sim",
			AccountSID:   c.AccountSID(),
			AuthToken:    sim.DefaultAuthToken,
			BaseURL:      base,
			Transport:    rt,
		}
	})
}

// NewPlivoNetwork is NewNetwork with a carrier that speaks as Plivo does, and
// the adapter to it.
func NewPlivoNetwork(t testing.TB, faults ...sim.Faults) *Network {
	t.Helper()
	return newNetwork(t, sim.Plivo, faults, func(c *sim.Carrier, base string, rt http.RoundTripper) call.Provider {
		return &plivo.Provider{
			ProviderName: "sim",
			AuthID:       c.AccountSID(),
			AuthToken:    sim.DefaultAuthToken,
			BaseURL:      base,
			Transport:    rt,
		}
	})
}

func newNetwork(t testing.TB, d sim.Dialect, faults []sim.Faults, adapter func(c *sim.Carrier, base string, rt http.RoundTripper) call.Provider) *Network {
	t.Helper()
	pipe := memnet.New()
	cfg := sim.Config{Dialect: d, Dial: pipe.DialContext, InTheClear: true}
	for _, f := range faults {
		cfg.Faults = f
	}
	carrier := sim.New(cfg)
	n := &Network{Carrier: carrier, t: t, pipe: pipe, adapter: adapter}
	n.machine = n.Machine()
	n.Provider = n.machine.Provider
	t.Cleanup(func() {
		if err := carrier.Close(); err != nil {
			t.Errorf("calltest: carrier: %v", err)
		}
		for _, m := range n.machines {
			m.transport.CloseIdleConnections()
		}
		if err := pipe.Close(); err != nil {
			t.Errorf("calltest: network: %v", err)
		}
	})
	l, err := pipe.Listen(carrierHost)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, carrier)
	return n
}

// Connect puts a service on the network, at the host of its public URL, and
// gives it numbers at which phones reach it. The service is shut down, its calls
// cut off, when the test ends.
func (n *Network) Connect(svc *call.Service, numbers ...string) {
	n.t.Helper()
	n.machine.Connect(svc, numbers...)
}

// DialContext connects to a host of the network, for browsers and other clients of
// a service.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.pipe.DialContext(ctx, network, addr)
}

// Phone is the phone with this number.
func (n *Network) Phone(number string) *sim.Phone { return n.Carrier.Phone(number) }
