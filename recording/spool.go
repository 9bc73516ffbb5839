package recording

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Spool is a Storage for calls whose recordings are to lie far away: they are
// written to a local directory, and brought to another storage when they are
// finished. A recording is lost neither with the process nor while the other
// storage is away, and no call waits for it.
//
// The local copy is deleted once the other storage has shown that it holds the
// same bytes. Until then Open and URL find the local one. What was removed is
// gone for Open and URL at once, and stays marked on disk until it is gone from
// the other storage too, however often that fails.
//
// All state is in the directory: what lies there under a key is to be brought
// away. One process at a time may use it.
//
// A Spool is an http.Handler for the addresses of Local: it must be served in
// the place of Local, because a file may move while it is being played.
//
// Nothing is brought away before Start. The fields must not change once the
// Spool is in use.
type Spool struct {
	// Local is where recordings are written. It belongs to the Spool.
	Local *Dir
	// Remote is where they go. The Spool has its name: a record says where its
	// recording goes, not how far it has come.
	Remote Storage

	// Parallel is how many files are brought away at once. Zero means 4.
	Parallel int
	// MinFree is how much room the disk of Local must have, in bytes, for a new
	// recording; with less, Create fails with ErrFull. It bounds the backlog:
	// nothing that is not safe elsewhere is ever deleted. Zero means 256 MiB;
	// negative means that it is not looked at, and neither is it on systems other
	// than Unix.
	MinFree int64

	// Logger takes what operators should know. Nil means slog.Default().
	Logger *slog.Logger

	mu       sync.Mutex
	started  bool
	closing  bool
	jobs     map[string]*spoolJob // files to be brought away, by key
	removals map[string]*spoolJob // keys that have been removed
	queue    []*spoolJob          // those jobs and removals that wait, first come first
	later    []*spoolJob          // those to be tried again in an hour, by the time when
	running  int
	failures int       // attempts that failed since one succeeded
	down     time.Time // no attempt before then
	since    time.Time // of the first of the failures
	pause    *backoff.ExponentialBackOff
	stats    SpoolStats // counters only

	wake   chan struct{} // holds one
	cancel context.CancelFunc
	done   chan struct{} // closed when the loop has ended
}

// SpoolStats tell how a Spool stands.
type SpoolStats struct {
	// Pending files, of PendingBytes in all, are not in the other storage yet.
	// Oldest is since when the first of them waits; zero if there are none.
	Pending      int
	PendingBytes int64
	Oldest       time.Time
	// Conflicts are those among them whose key is taken there by something else.
	// They are tried once an hour, and stay here until somebody looks.
	Conflicts int
	// Removing counts keys that were removed and may be left in the other
	// storage.
	Removing int
	// DownSince is since when nothing succeeds; zero if the last attempt did.
	DownSince time.Time

	// Uploaded and UploadedBytes count what was brought away, Failed the attempts
	// that were not successful, Refused the recordings for which there was no
	// room: all since the Spool was made.
	Uploaded      int64
	UploadedBytes int64
	Failed        int64
	Refused       int64
}

const (
	defaultParallel = 4
	defaultMinFree  = 256 << 20

	// Between attempts while the other storage is away: with the jitter, half a
	// minute at most.
	firstPause = time.Second
	maxPause   = 20 * time.Second

	// What an attempt may take: some time, and more for each byte.
	attemptTime  = 2 * time.Minute
	slowestBytes = 64 << 10 // a second
	// removeTime is how long Remove waits for the other storage itself.
	removeTime = 5 * time.Second
	// lateTime is after how long a removal is repeated: a request that was given
	// up while its file was removed may still be carried out over there. It is
	// also how often a key that is taken is tried.
	lateTime = time.Hour
	// rememberTime is how long the key of what was brought away is known here to
	// be taken.
	rememberTime = 24 * time.Hour
)

// Name returns the name of Remote.
func (s *Spool) Name() string { return s.Remote.Name() }

// Validate tells what is wrong with the settings, those of both storages
// included.
func (s *Spool) Validate() error {
	switch {
	case s.Local == nil || s.Remote == nil:
		return errors.New("recording: spool: Local or Remote is nil")
	case s.Parallel < 0:
		return errors.New("recording: spool: Parallel is negative")
	}
	if v, ok := s.Remote.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	return s.Local.Validate()
}

// Create begins a new file in Local. It does not ask the other storage whether
// the key is taken there, except that it knows what was brought away within the
// last day.
func (s *Spool) Create(_ context.Context, key string) (File, error) {
	f, err := s.create(key)
	if err != nil {
		return nil, fmt.Errorf("recording: spool: create: %w", err)
	}
	return f, nil
}

func (s *Spool) create(key string) (*spoolFile, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	if err := s.checkRoom(); err != nil {
		return nil, err
	}
	f, err := s.Local.create(key)
	if err != nil {
		return nil, err
	}
	// Only now: what has been brought away is marked before it is deleted here.
	taken, err := s.marked(key, markUp)
	if err == nil && taken {
		err = fmt.Errorf("%w: %s", ErrExists, key)
	}
	if err == nil {
		err = s.reuse(key)
	}
	if err != nil {
		return nil, errors.Join(err, f.Abort())
	}
	return &spoolFile{f, s}, nil
}

// checkRoom fails if the disk is nearly full.
func (s *Spool) checkRoom() error {
	least := cmp.Or(s.MinFree, defaultMinFree)
	if least < 0 {
		return nil
	}
	free, err := freeBytes(s.Local.Path)
	if err != nil || free >= least {
		return nil // who cannot tell does not refuse
	}
	s.mu.Lock()
	s.stats.Refused++
	s.mu.Unlock()
	return fmt.Errorf("%w: %d bytes are free", ErrFull, free)
}

// spoolFile is a file of Local that is brought away once it is committed.
type spoolFile struct {
	*dirFile
	spool *Spool
}

func (f *spoolFile) Commit(ctx context.Context) error {
	if err := f.dirFile.Commit(ctx); err != nil {
		return err
	}
	return f.spool.enqueue(f.key, time.Now())
}

// Open opens what was committed, wherever it is.
func (s *Spool) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("recording: spool: open: %w", err)
	}
	if s.isRemoved(key) {
		return nil, fmt.Errorf("recording: spool: open: %w: %s", ErrNotFound, key)
	}
	f, err := s.Local.Open(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return s.Remote.Open(ctx, key)
	}
	return f, err
}

// URL returns an address of Local while the file is there, and of Remote later.
// The former stays valid when the file moves, if both have addresses.
func (s *Spool) URL(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", fmt.Errorf("recording: spool: url: %w", err)
	}
	if s.isRemoved(key) {
		return "", fmt.Errorf("recording: spool: url: %w: %s", ErrNotFound, key)
	}
	if !s.Local.has(key) {
		return s.Remote.URL(ctx, key, ttl)
	}
	url, err := s.Local.URL(ctx, key, ttl)
	if errors.Is(err, ErrNotFound) { // it has just moved
		return s.Remote.URL(ctx, key, ttl)
	}
	return url, err
}

// ServeHTTP answers the addresses of Local, as Dir does. If the file has moved,
// it redirects to its address in Remote.
func (s *Spool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := s.Local.admit(w, r)
	if !ok {
		return
	}
	err := fmt.Errorf("%w: %s", ErrNotFound, key)
	if !s.isRemoved(key) {
		err = s.Local.serve(w, r, key)
		if errors.Is(err, ErrNotFound) {
			err = s.redirect(w, r, key)
		}
	}
	if err != nil {
		refuse(w, err)
	}
}

// redirect answers with the address of a file in Remote, valid for as long as
// the one that was asked for.
func (s *Spool) redirect(w http.ResponseWriter, r *http.Request, key string) error {
	until, err := strconv.ParseInt(r.URL.Query().Get("expires"), 10, 64)
	if err != nil {
		return err
	}
	url, err := s.Remote.URL(r.Context(), key, time.Until(time.Unix(until, 0)))
	if err == nil {
		http.Redirect(w, r, url, http.StatusTemporaryRedirect)
	}
	return err
}

// Unfinished is that of Local.
func (s *Spool) Unfinished() ([]string, error) { return s.Local.Unfinished() }

// Salvage is that of Local. What it publishes is brought away.
func (s *Spool) Salvage(ctx context.Context, key string) (Recording, error) {
	rec, err := s.Local.Salvage(ctx, key)
	if err != nil {
		return rec, err
	}
	rec.Storage = s.Name()
	return rec, s.enqueue(key, time.Now())
}

// Stats returns how the Spool stands.
func (s *Spool) Stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.DownSince = s.since
	st.Pending, st.Removing = len(s.jobs), len(s.removals)
	for _, j := range s.jobs {
		st.PendingBytes += j.size
		if st.Oldest.IsZero() || j.since.Before(st.Oldest) {
			st.Oldest = j.since
		}
		if j.parked {
			st.Conflicts++
		}
	}
	return st
}

func (s *Spool) log() *slog.Logger {
	if s.Logger == nil {
		return slog.Default()
	}
	return s.Logger
}
