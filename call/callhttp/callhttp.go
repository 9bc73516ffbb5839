// Package callhttp serves a [call.Service] as a REST API, with server-sent
// events and an OpenAPI document of itself.
package callhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/recording"
)

// Config says what an API serves and to whom. Service and Authorize are needed.
type Config struct {
	Service *call.Service

	// Campaigns are served below /api/campaigns. Nil: there are none. Whoever has
	// made the Runner has it run.
	Campaigns *campaign.Runner
	// Schedules are served below /api/schedules. Nil: there are none. Whoever has
	// made the Scheduler has it run.
	Schedules *schedule.Scheduler
	// Queues are shown at /api/queues, each to its tenant. Nil: there are none.
	Queues *queue.Desk

	// Authorize tells whose calls a request is about, or returns an error if it
	// is about nobody's; the request is then answered with 401. It is asked
	// before anything else about each request below /api. A tenant sees its own
	// calls only: those of others do not exist for it. It may be called by many
	// goroutines at once.
	Authorize func(r *http.Request) (tenant string, err error)

	// Prefix is the path that clients find the API below, such as "/phone", for
	// the addresses in answers. It is not part of the paths that are served: use
	// http.StripPrefix. Empty: none.
	Prefix string

	// Storages are where recordings lie, for their addresses. Clients ask for one
	// by its Name.
	Storages []recording.Storage
	// RecordingTTL is how long the address of a recording works. Zero: 15
	// minutes.
	RecordingTTL time.Duration

	// KeepEvents is how many of the latest events of all calls are kept in
	// memory, so that a client of /api/events that was away, or is slow, misses
	// none. The oldest go first; a client that needs one of those is told so
	// with a reset event. Zero: 4,096.
	KeepEvents int
	// MaxStreams is how many event streams may be open at once; one more is
	// answered with 503. Zero: 256.
	MaxStreams int

	// Logger takes what went wrong inside. Nil: slog.Default().
	Logger *slog.Logger
}

const (
	maxBody            = 64 << 10
	defaultTTL         = 15 * time.Minute
	defaultKeepEvents  = 4096
	defaultMaxStreams  = 256
	subscriptionBuffer = 1024
)

// API is the handler of a REST API. Make one with [New], and end it with Close.
type API struct {
	cfg     Config
	log     *slog.Logger
	routes  *http.ServeMux
	spec    []byte
	feed    *feed
	streams chan struct{} // one value for each open event stream

	cancel context.CancelFunc // ends the subscription of the feed, and the contexts of deeds
	done   sync.WaitGroup     // the goroutine of the feed
	deeds  deeds
}

// New returns a handler of the paths below /api, and of /openapi.json. It starts
// one goroutine, which gathers events until Close or the service's shutdown, and
// later one for each transfer and the like that goes on after its request has
// been answered.
func New(cfg Config) (*API, error) {
	if cfg.Service == nil {
		return nil, errors.New("callhttp: config: Service is nil")
	}
	if cfg.Authorize == nil {
		return nil, errors.New("callhttp: config: Authorize is nil")
	}
	if cfg.Prefix != "" && (path.Clean(cfg.Prefix) != cfg.Prefix || cfg.Prefix[0] != '/' || cfg.Prefix == "/") {
		return nil, fmt.Errorf("callhttp: config: Prefix %q is not a path without a slash at its end", cfg.Prefix)
	}
	if cfg.RecordingTTL < 0 || cfg.KeepEvents < 0 || cfg.MaxStreams < 0 {
		return nil, errors.New("callhttp: config: a limit is negative")
	}
	if cfg.RecordingTTL == 0 {
		cfg.RecordingTTL = defaultTTL
	}
	if cfg.KeepEvents == 0 {
		cfg.KeepEvents = defaultKeepEvents
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = defaultMaxStreams
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	a := &API{
		cfg:     cfg,
		log:     cfg.Logger,
		routes:  http.NewServeMux(),
		feed:    newFeed(cfg.KeepEvents),
		streams: make(chan struct{}, cfg.MaxStreams),
	}
	if err := a.describe(); err != nil {
		return nil, fmt.Errorf("callhttp: openapi: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.deeds.ctx = ctx
	events := cfg.Service.Subscribe(ctx, subscriptionBuffer)
	a.done.Go(func() { a.feed.gather(events) })
	return a, nil
}

// Close ends all event streams, so that an http.Server can shut down, and
// returns when the goroutines of the API have ended. A warm transfer that has not
// connected anybody is given up then; other ones go on without the API. Other
// requests are served as before.
func (a *API) Close() {
	a.cancel()
	a.deeds.close()
	a.done.Wait()
}

type tenantKey struct{}

func tenantOf(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
}

// ServeHTTP serves the API.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path == "/openapi.json" && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(a.spec)
		return
	}
	if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
		tenant, err := a.cfg.Authorize(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="calls"`)
			unauthorized.with("a valid bearer token is needed").write(w)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		r = r.WithContext(context.WithValue(r.Context(), tenantKey{}, tenant))
	}
	if handler, pattern := a.routes.Handler(r); pattern == "" {
		refuse(w, r, handler)
		return
	}
	a.routes.ServeHTTP(w, r)
}

// refuse answers a request that has no route as handler, which is the mux's own
// way to do so, would: but as a problem.
func refuse(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	plain := &statusOnly{header: make(http.Header)}
	handler.ServeHTTP(plain, r)
	if plain.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", plain.header.Get("Allow"))
		methodNotAllowed.with("allowed: " + plain.header.Get("Allow")).write(w)
		return
	}
	notFound.with("there is nothing at this address").write(w)
}

// statusOnly is a ResponseWriter that keeps everything but the body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
