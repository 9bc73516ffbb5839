package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/recording/s3store"
)

const (
	standardRecordings = "data/recordings"
	standardSpool      = "data/spool"
	// spoolTime is how long recordings may still be brought away at the end. What
	// is left goes at the next start.
	spoolTime = 5 * time.Second
)

// setRecordings reads file:DIRECTORY or s3://BUCKET/PREFIX?....
func setRecordings(s *settings, v string) error {
	scheme, path, _ := strings.Cut(v, ":")
	switch {
	case scheme == "file" && path != "":
		s.recordings = path
		return nil
	case scheme == "s3":
		s.recordings = standardRecordings // for calls that ask for it
		return s.setBucket(v)
	}
	return errors.New("is not file:DIRECTORY or s3://BUCKET/PREFIX")
}

// bucketOptions are what may follow the question mark.
var bucketOptions = map[string]func(s *settings, v string) error{
	"endpoint":        func(s *settings, v string) error { s.bucket.Endpoint = v; return nil },
	"public_endpoint": func(s *settings, v string) error { s.bucket.PublicEndpoint = v; return nil },
	"region":          func(s *settings, v string) error { s.bucket.Region = v; return nil },
	"sse":             func(s *settings, v string) error { s.bucket.Encryption = s3store.Encryption(v); return nil },
	"kms_key":         func(s *settings, v string) error { s.bucket.KMSKeyID = v; return nil },
	"local":           func(s *settings, v string) error { s.recordings = v; return nil },
	"spool":           func(s *settings, v string) error { s.spool = v; return nil },
	"path_style": func(s *settings, v string) (err error) {
		s.bucket.PathStyle, err = strconv.ParseBool(v)
		return err
	},
}

// setBucket reads a URL of a bucket. Keys are not part of it: they are where the
// AWS SDK looks for them.
func (s *settings) setBucket(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.User != nil || u.Host == "" || u.Fragment != "" {
		return errors.New("is not s3://BUCKET/PREFIX")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has options that cannot be read")
	}
	s.spool = standardSpool
	s.bucket = &s3store.Storage{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"),
		PathStyle: query.Get("endpoint") != "", // as most servers that are not Amazon's need
	}
	for name, values := range query {
		set, ok := bucketOptions[name]
		if !ok || len(values) != 1 || values[0] == "" {
			known := make([]string, 0, len(bucketOptions))
			for name := range bucketOptions {
				known = append(known, name)
			}
			slices.Sort(known)
			return fmt.Errorf("option %q is unknown, empty or there twice; there are %s", name, strings.Join(known, ", "))
		}
		if err := set(s, values[0]); err != nil {
			return fmt.Errorf("option %s is not valid", name)
		}
	}
	if err := s.bucket.Validate(); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// recordings are the storages of this server.
type recordings struct {
	local *recording.Dir
	spool *recording.Spool // on the way to a bucket; nil without one
}

// openRecordings makes the storages, and begins to bring away what an earlier run
// has left.
func (s *server) openRecordings() error {
	dir := func(path, at string) *recording.Dir {
		return &recording.Dir{
			Path:       path,
			BaseURL:    s.url + at,
			SigningKey: []byte(rand.Text()), // addresses are valid for minutes: they need not outlive us
		}
	}
	s.recordings.local = dir(s.cfg.recordings, "recordings")
	if s.cfg.bucket == nil {
		return nil
	}
	spool := &recording.Spool{
		Local:  dir(s.cfg.spool, "spool"),
		Remote: s.cfg.bucket,
		Logger: s.log.With("spool", s.cfg.spool),
	}
	if err := spool.Validate(); err != nil {
		return fmt.Errorf("%w: RECORDING_URL: %w", errSettings, err)
	}
	if err := spool.Start(); err != nil {
		return err
	}
	s.recordings.spool = spool
	s.closer = append(s.closer, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), spoolTime)
		defer cancel()
		err := spool.Close(ctx)
		s.cfg.bucket.CloseIdleConnections()
		if left := spool.Stats().Pending; left > 0 {
			s.log.Warn("recordings wait in the spool for the next start", "pending", left)
		}
		return err
	})
	return nil
}

// storages are all there are, the one for calls that do not name one first.
func (r *recordings) storages() []recording.Storage {
	if r.spool == nil {
		return []recording.Storage{r.local}
	}
	return []recording.Storage{r.spool, r.local}
}

// recorder writes into them.
func (r *recordings) recorder() *recording.WAV {
	all := r.storages()
	return &recording.WAV{Storage: all[0], Others: all[1:]}
}

// handle serves the addresses that they give out.
func (r *recordings) handle(mux *http.ServeMux) {
	mux.Handle("/recordings/", http.StripPrefix("/recordings", r.local))
	if r.spool != nil {
		mux.Handle("/spool/", http.StripPrefix("/spool", r.spool))
	}
}
