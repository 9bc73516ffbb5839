package sim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// webhookTime is how long a webhook may take.
	webhookTime = 15 * time.Second
	// connectTime is how long one try to connect may take.
	connectTime = 5 * time.Second
	// maxHops is how many HTTP redirects are followed (Twilio's error 11215).
	maxHops = 10
	// maxReply bounds the body of a reply. Parsers allow less.
	maxReply = 128 << 10
)

// Numbers of the errors of webhooks, in Twilio's catalogue. Other dialects have
// numbers of their own for them.
const (
	hookFailed      = 11200
	hookUnreachable = 11205
	hookRedirects   = 11215
	hookDocument    = 12100
	hookContentType = 12300
	noDetectURL     = 21262
)

// A hookError is why a webhook gave nothing to go on with.
type hookError struct {
	code int
	err  error
}

func (e *hookError) Error() string { return fmt.Sprintf("sim: webhook: %d: %v", e.code, e.err) }
func (e *hookError) Unwrap() error { return e.err }

// fetch asks the application what to do with a call: its voice URL, and if that
// fails its fallback URL.
func (c *call) fetch(ctx context.Context, ins instruction) ([]verb, error) {
	if ins.url == "" {
		return c.dialect.parse([]byte(ins.document), nil)
	}
	params := c.dialect.question(c, ins)
	verbs, err := c.ask(ctx, ins.method, ins.url, params)
	var problem *hookError
	if !errors.As(err, &problem) || ctx.Err() != nil {
		return verbs, err
	}
	c.carrier.warn(c.dialect.number(problem), "voice URL gave no instructions", "call", c.sid, "error", problem.err)
	if ins.fallback == "" {
		return nil, err
	}
	c.dialect.excuse(params, ins, problem)
	return c.ask(ctx, ins.fallbackMethod, ins.fallback, params)
}

func (c *call) ask(ctx context.Context, method, address string, params url.Values) ([]verb, error) {
	body, from, err := c.request(ctx, method, address, params, newToken())
	if err != nil {
		return nil, err
	}
	verbs, err := c.dialect.parse(body, from)
	if err != nil {
		return nil, &hookError{hookDocument, err}
	}
	return verbs, nil
}

// newToken returns a random UUID (RFC 9562).
func newToken() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// deliver sends a hook. What the reply says is of no interest.
func (c *call) deliver(ctx context.Context, h hook) {
	_, _, err := c.request(ctx, h.method, h.url, h.params, h.token)
	var problem *hookError
	if errors.As(err, &problem) && problem.code != hookContentType && !errors.Is(ctx.Err(), context.Canceled) {
		c.carrier.warn(c.dialect.number(problem), "webhook failed", "call", c.sid, "error", problem.err)
	}
}

// An override is what the fragment of a webhook's URL changes.
type override struct {
	connect, read, total time.Duration
	retries              int
	policy               []string
}

// patience is how a carrier sends webhooks whose URL has no fragment, and the
// most that one can ask for.
type patience struct {
	override
	most override
}

// overrides takes the fragment off a URL and reads it (Twilio's "Webhooks:
// Connection Overrides", Plivo's "Callback configuration"). What is out of
// bounds is as if it were not there.
func overrides(address string, p *patience) (string, override) {
	o := p.override
	address, fragment, _ := strings.Cut(address, "#")
	q, err := url.ParseQuery(fragment)
	if err != nil {
		return address, o
	}
	duration := func(key string, most time.Duration, d *time.Duration) {
		n, err := strconv.Atoi(q.Get(key))
		if err == nil && n >= 100 && n <= int(most.Milliseconds()) {
			*d = time.Duration(n) * time.Millisecond
		}
	}
	duration("ct", p.most.connect, &o.connect)
	duration("rt", p.most.read, &o.read)
	duration("tt", p.most.total, &o.total)
	if n, err := strconv.Atoi(q.Get("rc")); err == nil && n >= 0 && n <= p.most.retries {
		o.retries = n
	}
	if q.Has("rp") {
		o.policy = strings.Split(q.Get("rp"), ",")
	}
	return address, o
}

// retry reports whether a failure of this kind is tried again.
func (o *override) retry(kind string) bool {
	return kind != "" && (slices.Contains(o.policy, kind) || slices.Contains(o.policy, "all"))
}

// request sends one signed webhook, with the retries that its URL asks for, and
// returns the body of the reply and where it came from. Its error is a
// *hookError.
func (c *call) request(ctx context.Context, method, address string, params url.Values, token string) ([]byte, *url.URL, error) {
	address, o := overrides(address, c.dialect.patience())
	ctx, cancel := context.WithTimeout(ctx, o.total)
	defer cancel()
	for try := 0; ; try++ {
		body, from, kind, err := c.chase(ctx, o, method, address, params, token)
		if err == nil {
			return body, from, nil
		}
		if ctx.Err() != nil || try >= o.retries || !o.retry(kind) {
			return nil, nil, err
		}
	}
}

// chase sends one request and follows redirects. The kind of an error is in the
// words of the retry policy; empty if there is none for it.
func (c *call) chase(ctx context.Context, o override, method, address string, params url.Values, token string) (body []byte, from *url.URL, kind string, err error) {
	for range maxHops + 1 {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, nil, "", &hookError{hookFailed, fmt.Errorf("not the URL of a webhook: %q", address)}
		}
		r, err := c.send(ctx, o, method, u, params, token)
		if err != nil {
			return nil, nil, failureKind(err), &hookError{hookUnreachable, err}
		}
		to := r.header.Get("Location")
		switch {
		case r.status >= 300 && r.status < 400 && to != "":
			next, err := u.Parse(to)
			if err != nil {
				return nil, nil, "", &hookError{hookFailed, err}
			}
			address = next.String()
			if r.status != http.StatusTemporaryRedirect && r.status != http.StatusPermanentRedirect {
				method = http.MethodGet
			}
			continue
		case r.status >= 500:
			return nil, nil, "5xx", &hookError{hookFailed, fmt.Errorf("HTTP %d", r.status)}
		case r.status/100 != 2:
			return nil, nil, "4xx", &hookError{hookFailed, fmt.Errorf("HTTP %d", r.status)}
		}
		media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
		if media != "text/xml" && media != "application/xml" && media != "text/html" {
			return nil, nil, "", &hookError{hookContentType, fmt.Errorf("content type is %q", media)}
		}
		return r.body, u, "", nil
	}
	return nil, nil, "", &hookError{hookRedirects, errors.New("too many redirects")}
}

// failureKind is the retry policy's word for a request that got no reply.
func failureKind(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return "ct"
	case errors.Is(err, context.DeadlineExceeded):
		return "rt"
	}
	return ""
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request. The connect timeout is in the transport's dialer; here
// it only makes the whole of a try longer.
func (c *call) send(ctx context.Context, o override, method string, u *url.URL, params url.Values, token string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, o.connect+o.read)
	defer cancel()
	var body io.Reader
	if method == http.MethodGet {
		u, params = withQuery(u, params), nil
	} else {
		body = strings.NewReader(params.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	req.Header.Set("Accept", "*/*")
	c.dialect.stamp(req.Header, method, u, params, token)
	client := &http.Client{
		Transport:     c.carrier.transport,
		Jar:           c.jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	r := &reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
	return r, err
}

// withQuery returns u with params added to its query.
func withQuery(u *url.URL, params url.Values) *url.URL {
	if len(params) == 0 {
		return u
	}
	with := *u
	if with.RawQuery != "" {
		with.RawQuery += "&"
	}
	with.RawQuery += params.Encode()
	return &with
}
