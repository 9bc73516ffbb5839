package calltest

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// Machine is a computer on a Network, for tests of several, and of one that
// breaks: see [Machine.Kill].
type Machine struct {
	// Provider is an adapter to the network's carrier whose requests leave from
	// this machine.
	Provider call.Provider

	network   *Network
	transport *http.Transport
	opened    atomic.Int64

	mu    sync.Mutex // guards what follows
	dead  bool
	conns map[*connection]struct{}
	doors []*door
}

// Machine adds a computer to the network. Give its Provider to a Service, then
// Connect the two.
func (n *Network) Machine() *Machine {
	m := &Machine{network: n, conns: make(map[*connection]struct{})}
	m.transport = &http.Transport{DialContext: m.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}
	m.Provider = n.adapter(n.Carrier, "http://"+carrierHost, m.transport)
	n.machines = append(n.machines, m)
	return m
}

// Connect is Network.Connect for a service on this machine. The host of its
// public URL, and the numbers, may be those of a machine that was killed.
func (m *Machine) Connect(svc *call.Service, numbers ...string) {
	t := m.network.t
	t.Helper()
	incoming := svc.IncomingURL(m.Provider.Name())
	u, err := url.Parse(incoming)
	if err != nil {
		t.Fatal(err)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	m.Serve(host, svc.Handler())
	if len(numbers) == 0 {
		numbers = []string{Number}
	}
	for _, number := range numbers {
		m.network.Carrier.Assign(number, incoming)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = svc.Shutdown(ctx) // which says that calls were cut off
	})
}

// Serve serves HTTP at an address on this machine, a host and a port, until the
// machine is killed or the test ends.
func (m *Machine) Serve(addr string, h http.Handler) {
	t := m.network.t
	t.Helper()
	l, err := m.network.pipe.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, machine: m}
	m.mu.Lock()
	m.doors = append(m.doors, d)
	m.mu.Unlock()
	serve(t, d, h)
}

// Transport makes requests that leave from this machine.
func (m *Machine) Transport() http.RoundTripper { return m.transport }

// Kill breaks all connections of the machine at once, in the middle of whatever
// they carried, and lets it make and take no others. To everybody else the
// processes on it are dead. They notice nothing but a network that is gone, so a
// store that they share with others must refuse them too.
func (m *Machine) Kill() {
	m.mu.Lock()
	m.dead = true
	open, doors := m.conns, m.doors
	m.conns, m.doors = nil, nil
	m.mu.Unlock()
	for _, d := range doors {
		_ = d.Close() // in memory nothing fails to close
	}
	for c := range open {
		_ = c.Conn.Close()
	}
}

func (m *Machine) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := m.network.pipe.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	m.opened.Add(1)
	if held := m.hold(c); held != nil {
		return held, nil
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
}

// hold keeps a connection for Kill. It closes c and returns nil if the machine is
// dead.
func (m *Machine) hold(c net.Conn) net.Conn {
	held := &connection{Conn: c, machine: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		_ = c.Close()
		return nil
	}
	m.conns[held] = struct{}{}
	return held
}

// connection is one end of a connection, on a machine.
type connection struct {
	net.Conn
	machine *Machine
}

func (c *connection) Close() error {
	c.machine.mu.Lock()
	delete(c.machine.conns, c)
	c.machine.mu.Unlock()
	return c.Conn.Close()
}

// door is where a machine listens.
type door struct {
	net.Listener
	machine *Machine
}

func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if held := d.machine.hold(c); held != nil {
			return held, nil
		}
	}
}

// serve runs an HTTP server until the test ends.
func serve(t testing.TB, l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // until it is closed
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}
