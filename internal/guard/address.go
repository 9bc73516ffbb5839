package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// ErrPrivateAddress tells that a name has led into a network that is not public.
var ErrPrivateAddress = errors.New("guard: not a public address")

// NewPublicTransport returns a transport like [NewTransport] that connects to
// public addresses only, for hosts that nobody has named on purpose: whatever the
// name server says, no request comes out inside the host's own network. What is
// checked is the address that is connected to, so that an answer that changes
// does not help. A proxy of the environment has been named, and may be anywhere.
func NewPublicTransport() *http.Transport {
	t := NewTransport()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	public := &net.Dialer{Timeout: dialer.Timeout, Control: refusePrivate}
	proxies := proxyHosts()
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if proxies[addr] {
			return dialer.DialContext(ctx, network, addr)
		}
		return public.DialContext(ctx, network, addr)
	}
	return t
}

// refusePrivate is asked before each connection, with the address that a name
// has been resolved to.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(a.Addr()) {
		return fmt.Errorf("%w: %s", ErrPrivateAddress, address)
	}
	return nil
}

// special are the networks that are no place of the public internet, and those
// that are a way round it (IANA IPv4 and IPv6 Special-Purpose Address Registries,
// RFC 6890).
var special = func() (all []netip.Prefix) {
	for s := range strings.FieldsSeq(`
		0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
		192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
		198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
		::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16
		fc00::/7 fe80::/10 fec0::/10 ff00::/8`) {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}()

// isPublic reports whether an address can be one of the public internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// proxyHosts are the proxies that the environment names, as they are dialed.
func proxyHosts() map[string]bool {
	hosts := make(map[string]bool)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		v := os.Getenv(name)
		if v == "" {
			continue
		}
		if !strings.Contains(v, "://") {
			v = "http://" + v
		}
		u, err := url.Parse(v)
		if err != nil {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
		}
		hosts[net.JoinHostPort(u.Hostname(), port)] = true
	}
	return hosts
}
