package call

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

const (
	// peerTimeout is how long another replica may take to begin to answer.
	peerTimeout = 3 * time.Second
	// passedHeader marks what a replica has passed on. It is not passed on again,
	// whatever is thought of whose call it is.
	passedHeader = "Switchboard-Passed"
)

// peers are the other replicas, as this one reaches them.
type peers struct {
	cluster *cluster
	signer  signer
	client  *http.Client
	proxy   *httputil.ReverseProxy
	room    chan struct{} // for media sockets that are passed on
	cut     context.Context
	cutOff  context.CancelFunc
	drained sync.Once

	mu    sync.Mutex
	alive map[string]*peer // by the word of its name
}

// peer is a replica whose lease is good.
type peer struct {
	name string
	ctx  context.Context // ends when the lease is over
	stop context.CancelFunc
}

func (p *peers) init(c *cluster) {
	p.cluster = c
	p.signer.key = []byte(c.cfg.Secret)
	p.client = &http.Client{
		Transport:     c.cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.room = make(chan struct{}, c.svc.cfg.MaxCalls)
	p.cut, p.cutOff = context.WithCancel(context.Background())
	p.alive = make(map[string]*peer)
	p.proxy = &httputil.ReverseProxy{
		Transport: c.cfg.Transport,
		Rewrite: func(r *httputil.ProxyRequest) { // without what proxies before us have added
			to := r.In.Context().Value(peerKey{}).(*peer)
			u, err := r.Out.URL.Parse(addressOf(to.name) + r.In.URL.RequestURI())
			if err != nil {
				return // it stays what it was, and fails
			}
			r.Out.URL, r.Out.Host = u, u.Host
			r.Out.Header.Set(passedHeader, "1")
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			c.svc.log.Warn("another replica does not answer", "err", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

type peerKey struct{}

// keep notes which replicas have a good lease.
func (p *peers) keep(good []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := make(map[string]*peer, len(good))
	for _, name := range good {
		word := wordOf(name)
		if name == p.cluster.name {
			continue
		}
		if now[word] = p.alive[word]; now[word] == nil {
			ctx, stop := context.WithCancel(context.Background())
			now[word] = &peer{name: name, ctx: ctx, stop: stop}
		}
		delete(p.alive, word)
	}
	for _, gone := range p.alive {
		gone.stop()
	}
	p.alive = now
}

// find returns the replica whose name ends in this word, if its lease is good.
func (p *peers) find(word string) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive[word]
}

// drain waits for the sockets that are passed on, until ctx ends.
func (p *peers) drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.cutOff)
	defer stop()
	p.drained.Do(func() {
		for range cap(p.room) { // and leaves none for others
			p.room <- struct{}{}
		}
	})
}

func (p *peers) close() {
	p.cutOff()
	p.keep(nil)
	if t, ok := p.cluster.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// holder returns the replica that has a call, nil if that is this one or nobody.
// A call of a replica that is dead is taken over first.
func (c *cluster) holder(ctx context.Context, record *Call) (*peer, error) {
	if record.State.Terminal() || record.Owner == "" || record.Owner == c.name {
		return nil, nil
	}
	for range 2 {
		if p := c.peers.find(wordOf(record.Owner)); p != nil {
			return p, nil
		}
		if err := c.look(ctx); err != nil { // it may be new
			return nil, err
		}
	}
	if !c.settled() || !c.svc.canTake(record) {
		return nil, ErrUnreachable
	}
	l, err := c.svc.takeUp(ctx, record, input{kind: inRecovered})
	switch {
	case errors.Is(err, ErrConflict):
		return nil, ErrUnreachable // somebody is taking it over at this moment
	case err != nil:
		return nil, err
	}
	c.svc.counts.takenOver.Add(1)
	c.svc.resume([]*live{l})
	return nil, nil
}

// passWebhook passes a webhook on to the replica that has the call, and reports
// whether it has. It has been verified, and will be again.
func (s *Service) passWebhook(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte, provider, id, leg string) bool {
	if s.cluster == nil || r.Header.Get(passedHeader) != "" || id == "" && leg == "" {
		return false
	}
	if id != "" && s.find(id) != nil || leg != "" && s.findLeg(legKey{provider, leg}) != nil {
		return false
	}
	var record *Call
	var err error
	if id != "" {
		record, err = s.stored(ctx, id)
	} else {
		record, err = s.byProvider(ctx, provider, leg)
	}
	if err != nil {
		return false // the call is new, or not known to anybody
	}
	to, err := s.cluster.holder(ctx, record)
	switch {
	case err != nil:
		s.log.Warn("webhook not passed on", "call", record.ID, "err", err)
		w.WriteHeader(http.StatusBadGateway)
		return true
	case to == nil:
		return false
	}
	r = r.WithContext(context.WithValue(ctx, peerKey{}, to))
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.cluster.peers.proxy.ServeHTTP(w, r)
	return true
}

// passSocket passes a media socket on to the replica that has made its token, and
// reports whether that is another one.
func (s *Service) passSocket(w http.ResponseWriter, r *http.Request, token string) bool {
	if s.cluster == nil || r.Header.Get(passedHeader) != "" {
		return false
	}
	p := &s.cluster.peers
	to := p.find(tokenMaker(token))
	if to == nil {
		return false
	}
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	default:
		s.counts.streamsRefused.Add(1)
		http.Error(w, "too many streams", http.StatusServiceUnavailable)
		return true
	}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), peerKey{}, to))
	defer cancel()
	defer context.AfterFunc(p.cut, cancel)()
	p.proxy.ServeHTTP(w, r.WithContext(ctx))
	return true
}

// request makes a signed request to a replica, and returns its reply once that has
// begun. Whoever gets it closes it.
func (p *peers) request(ctx context.Context, to *peer, body []byte) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(to.ctx, cancel) // no longer than it is believed to live
	late := time.AfterFunc(peerTimeout, cancel)
	defer late.Stop()
	end := func() { stop(); cancel() }
	path := "/" + replicaPath + "/" + wordOf(to.name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addressOf(to.name)+path, bytes.NewReader(body))
	if err != nil {
		end()
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	p.signer.sign(req, path, body, time.Now())
	res, err := p.client.Do(req)
	if err != nil {
		end()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		end()
		return nil, errors.Join(errors.New("replica answers "+strconv.Itoa(res.StatusCode)), res.Body.Close())
	}
	return &replyBody{ReadCloser: res.Body, end: end}, nil
}

// replyBody is the body of a reply that ends its request when it is closed.
type replyBody struct {
	io.ReadCloser
	end func()
}

func (r *replyBody) Close() error {
	defer r.end()
	return r.ReadCloser.Close()
}
