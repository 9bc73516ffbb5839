// Loadtest makes many simulated calls to a Switchboard server at once, and
// measures how long its echo takes and where sound is missing. It is the server's
// carrier for that time. First start the server, with this program as its carrier:
//
//	PROVIDERS=twilio TWILIO_API_URL=http://127.0.0.1:8020 DEFAULT_AGENT=echo \
//	TWILIO_ACCOUNT_SID=AC00000000000000000000000000000001 TWILIO_AUTH_TOKEN=loadtest \
//	go run ./examples/server
//
// and then
//
//	go run ./examples/loadtest -calls 50 -for 30s -svg delays.svg
//
// Any server will do whose agent echoes what it hears.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func main() {
	var l load
	incoming := flag.String("incoming", "http://127.0.0.1:8010/webhook/twilio/incoming", "where the server is told of a call")
	listen := flag.String("listen", "127.0.0.1:8020", "where this carrier takes the server's requests: its TWILIO_API_URL")
	account := flag.String("account", "AC00000000000000000000000000000001", "the server's TWILIO_ACCOUNT_SID")
	token := flag.String("token", "loadtest", "the server's TWILIO_AUTH_TOKEN")
	svg := flag.String("svg", "", "a file for the plot; none if left out")
	flag.IntVar(&l.calls, "calls", 10, "how many calls")
	flag.DurationVar(&l.span, "for", 10*time.Second, "how long each of them lasts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = run(ctx, os.Stdout, l, *incoming, listener, *svg, sim.Config{AccountSID: *account, AuthToken: telephony.Secret(*token)})
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// line is the server's number.
const line = "+12025550100"

// run is a carrier while the load lasts, and shows what came of it.
func run(ctx context.Context, w io.Writer, l load, incoming string, listener net.Listener, svg string, cfg sim.Config) error {
	carrier := sim.New(cfg)
	defer func() { _ = carrier.Close() }()
	carrier.AssignLine(line, sim.Line{VoiceURL: incoming, StatusURL: strings.Replace(incoming, "/incoming", "/status", 1)})
	rest := &http.Server{Handler: carrier, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- rest.Serve(listener) }()
	r := l.run(ctx, carrier, line, func(share float64, live int) {
		fmt.Fprintf(w, "\r%s %3.0f %%, %d calls live ", bar(share, 40), 100*share, live)
	})
	fmt.Fprintln(w)
	r.write(w)
	if err := rest.Close(); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if svg != "" {
		if err := os.WriteFile(svg, []byte(plot(r.delays)), 0o644); err != nil {
			return err
		}
	}
	if len(r.failed) > 0 {
		return fmt.Errorf("%d of %d calls failed, the first one so: %w", len(r.failed), l.calls, r.failed[0])
	}
	return nil
}
