package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHTTPWorksInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := New()
		l, err := network.Listen("calls.test:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil || net.ParseIP(host) == nil {
				t.Errorf("RemoteAddr = %q; want an IP address and a port", r.RemoteAddr)
			}
			io.WriteString(w, "hello")
		})}
		go srv.Serve(l)
		tr := &http.Transport{DialContext: network.DialContext}
		start := time.Now()
		resp, err := (&http.Client{Transport: tr}).Get("http://calls.test/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "hello" || time.Since(start) != time.Minute {
			t.Errorf("got %q after %v; want hello after a minute", body, time.Since(start))
		}
		tr.CloseIdleConnections()
		srv.Close()
		network.Close()
	})
}

func TestDialFailures(t *testing.T) {
	network := New()
	defer network.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	full, err := network.Listen("full:1")
	if err != nil {
		t.Fatal(err)
	}
	for range backlog {
		if _, err := network.DialContext(t.Context(), "tcp", "full:1"); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	tests := []struct {
		name    string
		ctx     context.Context
		network string
		addr    string
		want    error
	}{
		{"nobody listens", t.Context(), "tcp", "nobody:1", syscall.ECONNREFUSED},
		{"the context has ended", ended, "tcp", "full:1", context.Canceled},
		{"nobody accepts", short, "tcp", "full:1", context.DeadlineExceeded},
		{"not a stream", t.Context(), "udp", "full:1", net.UnknownNetworkError("udp")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := network.DialContext(tt.ctx, tt.network, tt.addr)
			if !errors.Is(err, tt.want) {
				t.Errorf("DialContext = %v, %v; want %v", c, err, tt.want)
			}
			var op *net.OpError
			if !errors.As(err, &op) {
				t.Errorf("error is a %T; want a *net.OpError", err)
			}
		})
	}
	full.Close()
	if _, err := network.DialContext(t.Context(), "tcp", "full:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close of the listener: %v; want ECONNREFUSED", err)
	}
	if _, err := full.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v; want net.ErrClosed", err)
	}
}

func TestListen(t *testing.T) {
	network := New()
	first, err := network.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	second, err := network.Listen("calls.test:0")
	if err != nil {
		t.Fatal(err)
	}
	if first.Addr().String() == second.Addr().String() {
		t.Errorf("two listeners at %v", first.Addr())
	}
	if _, err := network.Listen(second.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken address: %v; want EADDRINUSE", err)
	}
	if _, err := network.Listen("no port"); err == nil {
		t.Error("an address without a port was taken")
	}
	network.Close()
	if _, err := network.Listen(""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen after Close: %v; want net.ErrClosed", err)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	network := New()
	l, err := network.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	client, err := network.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if client.RemoteAddr() != l.Addr() || server.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("ends disagree: %v, %v", client, server)
	}
	network.Close()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client reads on after Close")
	}
	if _, err := server.Write([]byte{1}); err == nil {
		t.Error("the server writes on after Close")
	}
}
