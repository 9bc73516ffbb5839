package guard

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPublicAddresses(t *testing.T) {
	for _, s := range []string{"54.172.60.0", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "2606:4700::1111", "2600:1f18::1"} {
		if !isPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is refused", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1",
		"fd00:ec2::254", "fe80::1%eth0", "fec0::1", "ff02::1",
	} {
		if isPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is taken for public", s)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is taken for public")
	}
	for _, s := range []string{"", "127.0.0.1", "localhost:80", "10.0.0.1:80", "[fe80::1%lo]:80"} {
		if err := refusePrivate("tcp", s, nil); !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// However an address is written, and whatever a name stands for, nobody inside is
// connected to.
func TestNobodyInsideIsConnectedTo(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]

	transport := NewPublicTransport()
	transport.Proxy = nil
	t.Cleanup(transport.CloseIdleConnections)
	client := New(transport, 5*time.Second)
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "0.0.0.0", "0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
		"169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "100.100.100.200", "192.168.0.1",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+port, nil)
		if err != nil {
			continue // not even an address
		}
		if _, err := client.Do(req); err == nil || !wantError(t, err).NotSent {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
	// The same server, for who has named it.
	plain := newClient(t, 0)
	if _, err := plain.Do(get(t, t.Context(), srv.URL)); err != nil || connections.Load() != 1 {
		t.Errorf("%v, %d connections; the test does not test", err, connections.Load())
	}
}

func TestAProxyMayBeInside(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(proxy.Close)
	for _, v := range []string{proxy.URL, strings.TrimPrefix(proxy.URL, "http://")} {
		t.Setenv("HTTP_PROXY", v)
		transport := NewPublicTransport()
		transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
		reply, err := New(transport, 0).Do(get(t, t.Context(), "http://carrier.example.com/"))
		if err != nil || reply.Status != http.StatusNoContent {
			t.Errorf("%s: %+v, %v", v, reply, err)
		}
		transport.CloseIdleConnections()
	}
}
