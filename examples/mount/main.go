// Mount adds phone calls to a web server that has other things to do. Calls that
// live when it is told to stop go on to their end, and those that a crash has cut
// short are settled at the next start.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	store, err := sqlstore.Open(ctx, "sqlite:calls.db")
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	svc, err := newService("https://shop.example.com/phone/", twilio.FromEnv(), store)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":8010")
	if err != nil {
		return err
	}
	return serve(ctx, listener, svc)
}

func newService(url string, provider call.Provider, store call.Store) (*call.Service, error) {
	return call.New(call.Config{
		PublicURL: url,
		Providers: []call.Provider{provider},
		Agents:    call.Agents{"echo": call.Echo},
		Store:     store,
	})
}

// grace is how long calls may go on after the server was told to stop.
const grace = 10 * time.Minute

// serve serves the shop and its phone until ctx ends and the last call is over.
func serve(ctx context.Context, listener net.Listener, svc *call.Service) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Call us!") })
	mux.Handle("/phone/", svc.Handler())

	// Before anything is served: what the last process has left is settled.
	if err := svc.Recover(ctx); err != nil {
		log.Print(err) // about some calls; the others are taken up
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return errors.Join(err, svc.Shutdown(ctx))
	case <-ctx.Done():
	}
	// First the calls, since their carriers still have something to tell; then
	// the server.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := errors.Join(svc.Shutdown(drain), server.Shutdown(drain))
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
