// Package memnet is a network in memory: listeners and connections made of
// [net.Pipe]. In a testing/synctest bubble a goroutine that waits for such a
// connection counts as blocked, so that virtual time goes on; a goroutine that
// waits for a real socket would hold it up.
//
// A connection has no buffer: a write waits until the other end has read it.
// Deadlines work as on a socket.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// backlog is how many connections wait to be accepted; one more waits in its
// DialContext.
const backlog = 128

// firstPort is where ports that nobody asked for begin (RFC 6335, section 6).
const firstPort = 49152

// Network is one network. Its methods may be called by many goroutines at
// once.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     map[*conn]struct{}
	port      int
	closed    bool
}

// New returns an empty network.
func New() *Network {
	return &Network{
		listeners: make(map[string]*listener),
		conns:     make(map[*conn]struct{}),
		port:      firstPort,
	}
}

// Listen opens addr, a host and a port. The host may be any name; nothing
// resolves it. Port 0, or an empty addr, is a port that is free.
func (n *Network) Listen(addr string) (net.Listener, error) {
	host, port := "192.0.2.1", "0" // RFC 5737: an address for documentation
	if addr != "" {
		var err error
		if host, port, err = net.SplitHostPort(addr); err != nil {
			return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		port = strconv.Itoa(n.nextPort())
	}
	a := address(net.JoinHostPort(host, port))
	switch {
	case n.closed:
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: a, Err: net.ErrClosed}
	case n.listeners[string(a)] != nil:
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: a, Err: syscall.EADDRINUSE}
	}
	l := &listener{
		network: n,
		addr:    a,
		queue:   make(chan net.Conn, backlog),
		done:    make(chan struct{}),
	}
	n.listeners[string(a)] = l
	return l, nil
}

func (n *Network) nextPort() int {
	n.port++
	return n.port
}

// DialContext connects to what listens at addr. Nothing there is an error that
// wraps [syscall.ECONNREFUSED].
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: err}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return fail(net.UnknownNetworkError(network))
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	n.mu.Lock()
	l := n.listeners[addr]
	if l == nil {
		n.mu.Unlock()
		return fail(syscall.ECONNREFUSED)
	}
	here := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: n.nextPort()}
	p, q := net.Pipe()
	client := &conn{Conn: p, network: n, local: here, remote: l.addr}
	server := &conn{Conn: q, network: n, local: l.addr, remote: here}
	n.conns[client], n.conns[server] = struct{}{}, struct{}{}
	n.mu.Unlock()

	var err error
	select {
	case l.queue <- server:
		// A listener that closed meanwhile accepts no more: see Close.
		select {
		case <-l.done:
			err = syscall.ECONNREFUSED
		default:
			return client, nil
		}
	case <-l.done:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = client.Close() // a pipe never fails to close
	_ = server.Close()
	return fail(err)
}

// Close closes all listeners and all connections.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	var open []interface{ Close() error }
	for _, l := range n.listeners {
		open = append(open, l)
	}
	for c := range n.conns {
		open = append(open, c)
	}
	n.mu.Unlock()
	var errs []error
	for _, o := range open {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

// address is the place of a listener. It need not be an IP address.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

type listener struct {
	network *Network
	addr    address
	queue   chan net.Conn
	once    sync.Once
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, l.closed()
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, l.closed()
	}
}

func (l *listener) closed() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
}

// Close ends Accept and closes the connections that nobody accepted.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
		close(l.done)
	})
	for {
		select {
		case c := <-l.queue:
			_ = c.Close()
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

type conn struct {
	net.Conn
	network       *Network
	local, remote net.Addr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// String tells both ends.
func (c *conn) String() string { return fmt.Sprintf("%s-%s", c.local, c.remote) }
