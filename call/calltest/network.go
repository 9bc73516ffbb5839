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
	"net/url"
	"sync/atomic"
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

	t     testing.TB
	pipe  *memnet.Network
	conns *atomic.Int64
}

// Connections is how many connections the adapter has opened to the carrier.
func (n *Network) Connections() int { return int(n.conns.Load()) }

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
	conns := new(atomic.Int64)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conns.Add(1)
			return pipe.DialContext(ctx, network, addr)
		},
		MaxIdleConnsPerHost: 64,
	}
	n := &Network{
		Provider: adapter(carrier, "http://"+carrierHost, transport),
		Carrier:  carrier,
		t:        t,
		pipe:     pipe,
		conns:    conns,
	}
	t.Cleanup(func() {
		if err := carrier.Close(); err != nil {
			t.Errorf("calltest: carrier: %v", err)
		}
		transport.CloseIdleConnections()
		if err := pipe.Close(); err != nil {
			t.Errorf("calltest: network: %v", err)
		}
	})
	n.serve(carrierHost, carrier)
	return n
}

// Connect puts a service on the network, at the host of its public URL, and
// gives it numbers at which phones reach it. The service is shut down, its calls
// cut off, when the test ends.
func (n *Network) Connect(svc *call.Service, numbers ...string) {
	n.t.Helper()
	incoming := svc.IncomingURL(n.Provider.Name())
	u, err := url.Parse(incoming)
	if err != nil {
		n.t.Fatal(err)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	n.serve(host, svc.Handler())
	if len(numbers) == 0 {
		numbers = []string{Number}
	}
	for _, number := range numbers {
		n.Carrier.Assign(number, incoming)
	}
	n.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = svc.Shutdown(ctx) // which says that calls were cut off
	})
}

// Phone is the phone with this number.
func (n *Network) Phone(number string) *sim.Phone { return n.Carrier.Phone(number) }

// serve runs an HTTP server on the network until the test ends.
func (n *Network) serve(addr string, h http.Handler) {
	n.t.Helper()
	l, err := n.pipe.Listen(addr)
	if err != nil {
		n.t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // until it is closed
	}()
	n.t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}
