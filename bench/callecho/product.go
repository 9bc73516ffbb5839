package callecho

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// product is the library as a host uses it: a service whose agent echoes, that
// records each call to disk, and somebody who reads its events. It is also the
// carrier's REST API, which the service asks to hang up.
type product struct {
	service *call.Service
	handler http.Handler
	dir     string
	readers sync.WaitGroup
	cancel  context.CancelFunc
}

func newProduct(url string, mode Mode) (*product, error) {
	dir, err := os.MkdirTemp("", "callecho")
	if err != nil {
		return nil, err
	}
	agent, store := call.Echo, &call.MemoryStore{}
	if mode == Restless {
		agent = call.AgentFunc(restless)
	}
	service, err := call.New(call.Config{
		PublicURL:            url,
		Providers:            []call.Provider{&twilio.Provider{AccountSID: accountID, AuthToken: "benchmark", BaseURL: url}},
		Agents:               call.Agents{"echo": agent},
		Store:                store,
		Recorder:             &recording.WAV{Storage: &recording.Dir{Path: dir}},
		RecordInbound:        mode != CallDry,
		AllowInsecureStreams: true,
		MaxCalls:             20_000,
		NoMedia:              time.Minute,
		Media:                &stream.Gate{},
		Logger:               slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &product{service: service, handler: service.Handler(), dir: dir, cancel: cancel}
	events := service.Subscribe(ctx, 1<<16) // none is to be missed while a slow disk erases
	readers := 1
	if mode == Restless {
		readers = 8 // to erase is work for the disk
	}
	for range readers {
		p.readers.Go(func() {
			for e := range events.C {
				if mode == Restless && e.Type == call.EventState && e.State.Terminal() {
					p.erase(ctx, e.CallID)
				}
			}
		})
	}
	return p, nil
}

const accountID = "AC00000000000000000000000000000000"

func (p *product) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/2010-04-01/") {
		p.handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"sid":%q,"account_sid":%q,"status":"completed"}`, strings.TrimSuffix(path.Base(r.URL.Path), ".json"), accountID)
}

// erase removes a call that has ended.
func (p *product) erase(ctx context.Context, id string) {
	_, err := p.service.Wait(ctx, id)
	if err == nil {
		err = p.service.Erase(ctx, id)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err) // the soak finds its memory
	}
}

// close gives the calls no time: what they recorded is thrown away.
func (p *product) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.service.Shutdown(ctx) // the error says that calls were cut off
	p.cancel()
	p.readers.Wait()
	_ = os.RemoveAll(p.dir) // in the system's temporary directory, where it does no harm
}
