package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// late echoes after a while.
func late(d time.Duration) call.Agent {
	return call.AgentFunc(func(_ context.Context, s *call.Session) error {
		line := s.Line(rate)
		_, err := audio.Copy(line, audio.Concat(audio.Silence(d, rate), line))
		return err
	})
}

func TestDelaysAreThoseOfTheServer(t *testing.T) {
	const calls, span = 5, 10 * time.Second
	tests := []struct {
		name    string
		agent   call.Agent
		from    time.Duration // delays lie there, and less than 150 ms above
		unheard int
		failed  int
	}{
		{"at once", call.Echo, 0, 0, 0},
		{"late", late(400 * time.Millisecond), 400 * time.Millisecond, 0, 0},
		{"across the second", late(900 * time.Millisecond), 900 * time.Millisecond, 0, 0},
		{"later than a second", late(1300 * time.Millisecond), 1300 * time.Millisecond, 0, 0},
		{"silent", call.AgentFunc(func(ctx context.Context, _ *call.Session) error { <-ctx.Done(); return nil }), 0, calls * int(span/echoPatience), 0},
		{"not there", call.AgentFunc(func(context.Context, *call.Session) error { return errors.New("no") }), 0, 0, calls},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := calltest.NewNetwork(t)
				svc, err := call.New(call.Config{
					PublicURL: calltest.PublicURL,
					Providers: []call.Provider{network.Provider},
					Agents:    call.Agents{"echo": tt.agent},
					Logger:    slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				network.Connect(svc)
				shares := []float64{0}
				r := load{calls, span}.run(t.Context(), network.Carrier, calltest.Number, func(share float64, _ int) { shares = append(shares, share) })
				if tt.failed > 0 || tt.unheard > 0 {
					if len(r.failed) != tt.failed || r.unheard < tt.unheard {
						t.Errorf("%d failed, %d unheard; want %d and %d", len(r.failed), r.unheard, tt.failed, tt.unheard)
					}
					return
				}
				if len(r.failed) > 0 || r.unheard > 0 || len(r.delays) < calls*int(span/(2*time.Second)) {
					t.Errorf("%d echoes, %d not heard, failed: %v", len(r.delays), r.unheard, r.failed)
				}
				if first, last := percentile(r.delays, 0), percentile(r.delays, 1); first < tt.from || last > tt.from+150*time.Millisecond {
					t.Errorf("delays from %v to %v, want from %v on", first, last, tt.from)
				}
				if !slices.IsSorted(shares) || shares[len(shares)-1] != 1 {
					t.Errorf("the progress is %v", shares)
				}
			})
		})
	}
}

// The whole program, on loopback, against a service that is told where its
// carrier is.
func TestProgramOnLoopback(t *testing.T) {
	carrier, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{AccountSID: "AC00000000000000000000000000000001", AuthToken: "token"}
	provider := &twilio.Provider{AccountSID: cfg.AccountSID, AuthToken: cfg.AuthToken, BaseURL: "http://" + carrier.Addr().String()}
	svc, err := call.New(call.Config{
		PublicURL: "http://" + listener.Addr().String() + "/",
		Providers: []call.Provider{provider},
		Agents:    call.Agents{"echo": call.Echo},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: svc.Handler(), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = svc.Shutdown(ctx)
		server.Close()
		<-served
		provider.CloseIdleConnections()
	}()
	var out bytes.Buffer
	svg := filepath.Join(t.TempDir(), "delays.svg")
	if err := run(t.Context(), &out, load{2, time.Second}, svc.IncomingURL("twilio"), carrier, svg, cfg); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "100 %") || !strings.Contains(got, "echoes      ") || !strings.Contains(got, "0 calls failed") {
		t.Errorf("it says\n%s", got)
	}
	drawn, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, drawn)
}

func wellFormed(t *testing.T, doc []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("the plot: %v\n%s", err, doc)
		}
	}
}

func TestPlotsOfAnything(t *testing.T) {
	for _, delays := range [][]time.Duration{nil, {0}, {time.Millisecond, 39 * time.Millisecond}, {0, 999 * time.Millisecond}, {0, echoPatience}} {
		bins, width := histogram(delays)
		sum := 0
		for _, n := range bins {
			sum += n
		}
		if sum != len(delays) || len(bins) > 20 || percentile(delays, 1) >= time.Duration(len(bins))*width {
			t.Errorf("%v: bins %v of %v", delays, bins, width)
		}
		wellFormed(t, []byte(plot(delays)))
		result{delays: delays}.write(io.Discard)
	}
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.005: 1, 0.5: 50, 0.95: 95, 0.99: 99, 1: 100} {
		if got := percentile(hundred, share); got != want {
			t.Errorf("a share of %v of a hundred lies within %d, want %d", share, got, want)
		}
	}
	if b := bar(0.25, 8); b != "██······" {
		t.Errorf("a quarter is %q", b)
	}
}
