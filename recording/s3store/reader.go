package s3store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/switchboard-voice/switchboard/recording"
)

// Open opens a file, which is fetched as it is read, from where it is read. Its
// end closes it; the end of ctx does not.
func (s *Storage) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	if err := recording.CheckKey(key); err != nil {
		return nil, wrap("open", err)
	}
	f, err := s.openObject(ctx, key)
	if err != nil {
		return nil, wrap("open", err)
	}
	return f, nil
}

func (s *Storage) openObject(ctx context.Context, key string) (*reader, error) {
	client, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.head(ctx, client, key)
	if err != nil {
		return nil, err
	}
	return &reader{
		ctx: context.WithoutCancel(ctx), storage: s, client: client, key: key,
		etag: out.ETag, size: aws.ToInt64(out.ContentLength),
	}, nil
}

// reader reads an object by one request for each stretch that is read.
type reader struct {
	ctx     context.Context
	storage *Storage
	client  *s3.Client
	key     string
	etag    *string // so that all of it is of one object
	size    int64

	at     int64
	closed bool
	body   io.ReadCloser // what comes at at; nil if nothing was asked for
	cancel context.CancelFunc
	stall  *time.Timer
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case r.at >= r.size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if r.body == nil {
		if err := r.ask(); err != nil {
			return 0, wrap("read", err)
		}
	}
	r.stall.Reset(cmp.Or(r.storage.Timeout, defaultTimeout))
	n, err := r.body.Read(p)
	r.stall.Stop()
	r.at += int64(n)
	switch {
	case errors.Is(err, io.EOF) && r.at < r.size:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF) && n > 0:
		err = nil // the next one says so
	}
	if err != nil {
		r.drop()
		if !errors.Is(err, io.EOF) {
			err = wrap("read", err)
		}
	}
	return n, err
}

// ask asks for the object from at on.
func (r *reader) ask() error {
	ctx, cancel := context.WithCancel(r.ctx)
	stall := time.AfterFunc(cmp.Or(r.storage.Timeout, defaultTimeout), cancel)
	out, err := r.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &r.storage.Bucket, Key: r.storage.objectKey(r.key), IfMatch: r.etag,
		Range: aws.String(fmt.Sprintf("bytes=%d-", r.at)),
	})
	stall.Stop()
	if err != nil {
		cancel()
		return err
	}
	r.body, r.cancel, r.stall = out.Body, cancel, stall
	return nil
}

// drop gives up what was asked for.
func (r *reader) drop() {
	if r.body == nil {
		return
	}
	r.stall.Stop()
	r.cancel()
	_ = r.body.Close() // of no interest any more
	r.body = nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	if offset != r.at {
		r.drop()
		r.at = offset
	}
	return offset, nil
}

func (r *reader) Close() error {
	r.closed = true
	r.drop()
	return nil
}
