package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/callhttp"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// server is everything that runs: the service, its API and, if it is simulated,
// the carrier.
type server struct {
	cfg    *settings
	log    *slog.Logger
	url    string // PublicURL with a slash at its end
	token  string // made at start; empty if there are tokens in the settings
	closer []func() error

	listener   net.Listener
	http       *http.Server
	svc        *call.Service
	api        *callhttp.API
	metrics    *metrics
	recordings recordings
	carrier    *sim.Carrier // nil if it is not among the providers
	desk       *queue.Desk  // nil if there are no queues

	dialers    dialers
	draining   context.Context // ends when drain begins
	beginDrain context.CancelFunc
}

// errSettings marks errors that an operator mends in the settings.
var errSettings = errors.New("settings")

// newServer puts a server together and listens. Whoever gets one calls close in
// the end.
func newServer(cfg *settings, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log}
	s.draining, s.beginDrain = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if len(cfg.tokens) == 0 {
		s.token = cfg.tokens.make()
	}
	if s.listener, err = net.Listen("tcp", cfg.listenAddr); err != nil {
		return nil, err
	}
	s.closer = append(s.closer, s.listener.Close)
	s.url = publicURL(cfg.publicURL, s.listener.Addr())
	base, err := url.Parse(s.url)
	if err != nil {
		return nil, fmt.Errorf("%w: PUBLIC_URL: is not a URL", errSettings)
	}
	prefix := strings.TrimSuffix(base.Path, "/")

	if s.metrics, err = newMetrics(); err != nil {
		return nil, err
	}
	store, err := s.openStore()
	if err != nil {
		return nil, err
	}
	providers, err := s.connect()
	if err != nil {
		return nil, err
	}
	if err := s.openRecordings(); err != nil {
		return nil, err
	}
	transcriber, retranscriber, err := s.transcribers()
	if err != nil {
		return nil, err
	}
	agents, err := s.openQueues(s.agents())
	if err != nil {
		return nil, err
	}
	s.svc, err = call.New(call.Config{
		PublicURL:            s.url,
		Providers:            providers,
		Agents:               agents,
		Router:               s.router(),
		Recorder:             s.recordings.recorder(),
		RecordInbound:        cfg.defaultAgent == "receptionist" && cfg.routes == nil, // who says so; others do not
		Transcriber:          transcriber,
		TranscribeInbound:    transcriber != nil,
		Retranscriber:        retranscriber,
		Redactor:             transcript.Personal{},
		ShowKeys:             true, // of the receptionist's menu
		Retention:            func(*call.Call) time.Duration { return cfg.retention },
		Store:                store,
		Cluster:              cfg.cluster,
		Policy:               call.Destinations{AllowPrefixes: cfg.dialAllow},
		MaxCalls:             cfg.maxCalls,
		DialsPerSecond:       cfg.callsPerSecond,
		RingTimeout:          cfg.ringTimeout,
		MaxDuration:          cfg.maxDuration,
		Silence:              cfg.silence,
		AllowInsecureStreams: cfg.insecureStream,
		CallContext:          s.metrics.telemetry.CallContext,
		BrowserOrigins:       cfg.browserOrigins,
		Logger:               log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSettings, err)
	}
	if err := s.openDialers(); err != nil {
		return nil, err
	}
	s.metrics.svc, s.metrics.spool, s.metrics.desk, s.metrics.campaigns = s.svc, s.recordings.spool, s.desk, s.dialers.campaigns
	s.api, err = callhttp.New(callhttp.Config{
		Service:   s.svc,
		Campaigns: s.dialers.campaigns,
		Schedules: s.dialers.schedules,
		Queues:    s.desk,
		Authorize: cfg.tokens.authorize,
		Prefix:    prefix,
		Storages:  s.recordings.storages(),
		Logger:    log,
	})
	if err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           withPrefix(prefix, s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// router decides who answers.
func (s *server) router() routing.Router {
	if s.cfg.routes == nil {
		return routing.Always(s.cfg.defaultAgent)
	}
	return s.cfg.routes.router(s.cfg.defaultAgent)
}

// openStore opens where calls are kept.
func (s *server) openStore() (call.Store, error) {
	if s.cfg.database == "" {
		return call.NewMemoryStore(), nil
	}
	store, err := sqlstore.Open(context.Background(), s.cfg.database)
	if err != nil {
		return nil, err
	}
	s.closer = append(s.closer, store.Close)
	return store, nil
}

// publicURL is how carriers reach a server that listens at addr.
func publicURL(set string, addr net.Addr) string {
	if set != "" {
		return strings.TrimSuffix(set, "/") + "/"
	}
	tcp := addr.(*net.TCPAddr)
	if tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d/", tcp.Port)
	}
	return "http://" + tcp.String() + "/"
}

// adapter is what connects us to a carrier.
type adapter interface {
	call.Provider
	CloseIdleConnections()
}

// connect makes the carriers.
func (s *server) connect() ([]call.Provider, error) {
	var providers []call.Provider
	for _, name := range s.cfg.providers {
		var provider adapter
		switch name {
		case "twilio":
			provider = &s.cfg.twilio
		case "plivo":
			provider = &s.cfg.plivo
		default:
			var err error
			if provider, err = s.simulate(); err != nil {
				return nil, err
			}
		}
		s.closer = append(s.closer, func() error {
			provider.CloseIdleConnections()
			return nil
		})
		providers = append(providers, provider)
	}
	return providers, nil
}

// simulate starts a carrier of our own, on a port of its own: it is reached, and
// reaches us, over HTTP and WebSocket as any other.
func (s *server) simulate() (adapter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	to := s.listener.Addr().String()
	s.carrier = sim.New(sim.Config{
		Dialect: s.cfg.simDialect,
		// Whatever PUBLIC_URL says, and whoever stands before us there.
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", to)
		},
		InTheClear: true,
		Logger:     s.log.With("carrier", "sim"),
	})
	s.carrier.Otherwise(people)
	if s.cfg.transferTo != "" {
		s.carrier.Phone(string(s.cfg.transferTo)).Behave(office)
	}
	s.carrier.AssignLine(ownNumber, sim.Line{
		VoiceURL:  s.url + "webhook/sim/incoming",
		StatusURL: s.url + "webhook/sim/status",
	})
	rest := &http.Server{Handler: s.carrier, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- rest.Serve(listener) }()
	s.closer = append(s.closer, func() error {
		err := errors.Join(s.carrier.Close(), rest.Close())
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	base := "http://" + listener.Addr().String()
	if s.cfg.simDialect == sim.Plivo {
		return &plivo.Provider{
			ProviderName: "sim",
			AuthID:       s.carrier.AccountSID(),
			AuthToken:    sim.DefaultAuthToken,
			BaseURL:      base,
		}, nil
	}
	return &twilio.Provider{
		ProviderName: "sim",
		AccountSID:   s.carrier.AccountSID(),
		AuthToken:    sim.DefaultAuthToken,
		BaseURL:      base,
	}, nil
}

// routes are all that this server serves.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", s.api)
	mux.Handle("/openapi.json", s.api)
	mux.Handle("/webhook/", s.svc.Handler())
	mux.Handle("/replica/", s.svc.Handler())
	mux.Handle("/ws/", s.svc.Handler())
	s.recordings.handle(mux)
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("/", page())
	return bodyDeadline(mux)
}

// readyTime is how long the store may take to show that it is there.
const readyTime = 2 * time.Second

// ready says why this server should get no calls at present.
func (s *server) ready(ctx context.Context) error {
	if s.svc.Draining() {
		return errors.New("draining")
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if _, err := s.svc.Call(ctx, "none"); !errors.Is(err, call.ErrNotFound) {
		s.log.Warn("not ready", "err", err)
		return errors.New("the store does not answer")
	}
	return nil
}

// withPrefix serves h with a prefix before its paths and without it, since a
// proxy may take it off.
func withPrefix(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	stripped := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == prefix:
			http.Redirect(w, r, prefix+"/", http.StatusMovedPermanently)
		case strings.HasPrefix(r.URL.Path, prefix+"/"):
			stripped.ServeHTTP(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// bodyTimeout is how long a client may take to send a body.
const bodyTimeout = 10 * time.Second

// bodyDeadline ends requests whose body does not come. http.Server.ReadTimeout
// would also end event streams.
func bodyDeadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		h.ServeHTTP(w, r)
	})
}

// serve takes up the calls of before a restart and answers requests until drain
// has been called.
func (s *server) serve(ctx context.Context) error {
	if err := s.svc.Recover(ctx); err != nil {
		return err
	}
	calling, stop := context.WithCancel(ctx)
	context.AfterFunc(s.draining, stop)
	serving, end := context.WithCancel(ctx) // for as long as there may be calls
	var others sync.WaitGroup
	others.Go(func() { s.dialers.run(calling) })
	others.Go(func() { s.giveCallers(serving) })
	others.Go(func() { s.eraseExpired(serving) })
	others.Go(func() { s.metrics.telemetry.Watch(serving, s.svc) })
	defer others.Wait()
	defer stop()
	defer end()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// drain takes no new calls, and lets the live ones go on until ctx ends. Then it
// ends serve.
func (s *server) drain(ctx context.Context) {
	s.beginDrain()
	if err := s.svc.Shutdown(ctx); err != nil {
		s.log.Warn("calls were cut off", "err", err)
	}
	s.api.Close()
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(last) != nil {
		_ = s.http.Close()
	}
}

// close lets go of everything, in the reverse order of its making.
func (s *server) close() error {
	var err error
	for len(s.closer) > 0 {
		last := len(s.closer) - 1
		if e := s.closer[last](); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
		s.closer = s.closer[:last]
	}
	return err
}
