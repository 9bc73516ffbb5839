package guard

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Download is a reply of success that is read as it arrives, by one goroutine.
// Its owner closes it.
type Download struct {
	Header http.Header

	body     io.ReadCloser
	cancel   context.CancelCauseFunc
	patience time.Duration
	stalled  *time.Timer // ends the request; runs while somebody waits for bytes
	left     int64
	err      error
}

// Open sends req as Do does, and returns the reply as soon as it begins. It may
// take as long as the context of req lasts, if only it goes on: the timeout of
// the Client bounds the wait for its beginning and the wait in each Read. More
// than limit bytes are ErrTooLarge, at once if the reply tells its length.
func (c *Client) Open(req *http.Request, limit int64) (*Download, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stalled := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	resp, err := c.send(ctx, req)
	if err == nil && !succeeded(resp) {
		err = refusal(resp)
	}
	if err == nil && resp.ContentLength > limit {
		err = &Error{Status: resp.StatusCode, Err: ErrTooLarge}
	}
	stalled.Stop()
	if err != nil {
		cancel(nil)
		if resp != nil {
			_ = resp.Body.Close()
		}
		return nil, err
	}
	return &Download{
		Header:   resp.Header,
		body:     resp.Body,
		cancel:   cancel,
		patience: c.timeout,
		stalled:  stalled,
		left:     limit,
	}, nil
}

// Read reads on. An error stays.
func (d *Download) Read(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	if int64(len(p)) > d.left {
		p = p[:d.left+1] // one more than is left, to see the end
	}
	d.stalled.Reset(d.patience)
	n, d.err = d.body.Read(p)
	d.stalled.Stop()
	if int64(n) > d.left {
		n, d.err = int(d.left), ErrTooLarge
	}
	d.left -= int64(n)
	return n, d.err
}

// IsText reports whether the reply calls itself text, as pages of errors do that
// come with a status of success.
func (d *Download) IsText() bool {
	kind, _, _ := mime.ParseMediaType(d.Header.Get("Content-Type"))
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml"
}

// Close ends the reply, also while it is being read, and can be repeated. What
// has not arrived does not arrive any more.
func (d *Download) Close() error {
	d.stalled.Stop()
	d.cancel(nil)
	return d.body.Close()
}
