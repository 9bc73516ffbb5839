package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Recordings of the carrier's can be fetched to where our own lie. They stand in
// Call.Fetched then.

const (
	// maxFetches is how many recordings may wait to be fetched, or be fetched, at
	// once; one more is left with the carrier, and counted.
	maxFetches = 1000
	// fetchParallel is how many are fetched at once.
	fetchParallel = 4
	// fetchTries is how often it is tried, since carriers tell of recordings that
	// they do not give out yet, with pauses of fetchFirst between, each four times
	// as long as the one before: ten minutes in all.
	fetchTries = 6
	fetchFirst = 2 * time.Second
	// fetchTime bounds one try, from the first question to the last byte.
	fetchTime = 15 * time.Minute
	// eraseTime bounds what a recorder takes to delete one recording.
	eraseTime = 30 * time.Second
)

// ErrNotReady tells that a carrier has not finished a recording yet.
var ErrNotReady = errors.New("call: recording is not there yet")

// fetches are the recordings that are to be fetched.
type fetches struct {
	slots chan struct{}

	mu   sync.Mutex
	busy map[string]bool // by the ids of the call and of the recording
}

func (f *fetches) init() {
	f.slots = make(chan struct{}, fetchParallel)
	f.busy = make(map[string]bool)
}

// begin reports whether a recording may be fetched: nobody does, and there is
// room.
func (f *fetches) begin(name string) (free, room bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[name] {
		return false, true
	}
	if len(f.busy) >= maxFetches {
		return true, false
	}
	f.busy[name] = true
	return true, true
}

func (f *fetches) end(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, name)
}

// FetchCarrierRecording copies a recording of the carrier's to where
// Config.Recorder keeps its own, and returns the copy, which stands in
// Call.Fetched. One that was fetched is not fetched again. Until the carrier has
// finished it the error is ErrNotReady; after a quarter of an hour it is given up.
// The carrier's own is not deleted.
func (s *Service) FetchCarrierRecording(ctx context.Context, id, recordingID string) (recording.Recording, error) {
	name := id + "/" + recordingID
	free, room := s.fetches.begin(name)
	var rec recording.Recording
	err := ErrOverloaded
	switch {
	case !free:
		err = fmt.Errorf("%w: it is being fetched", ErrNotReady)
	case room:
		defer s.fetches.end(name)
		rec, err = s.fetch(ctx, id, recordingID)
	}
	if err != nil {
		return recording.Recording{}, fmt.Errorf("call: fetch recording: %w", err)
	}
	return rec, nil
}

func (s *Service) fetch(ctx context.Context, id, recordingID string) (rec recording.Recording, err error) {
	keeper, ok := s.cfg.Recorder.(recording.Keeper)
	if !ok {
		return rec, fmt.Errorf("the recorder keeps no files of others: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel() // which ends the download, whoever reads it
	c, err := s.Call(ctx, id)
	if err != nil {
		return rec, err
	}
	if i := slices.IndexFunc(c.Fetched, func(r recording.Recording) bool { return r.Source == recordingID }); i >= 0 {
		return c.Fetched[i], nil
	}
	file, err := s.OpenCarrierRecording(ctx, id, recordingID)
	if errors.Is(err, telephony.ErrCallGone) {
		return rec, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	if err != nil {
		return rec, err
	}
	began := c.AnsweredAt
	if began.IsZero() {
		began = c.CreatedAt
	}
	rec, err = within(ctx, s, fetchTime, func(ctx context.Context) (rec recording.Recording, err error) {
		defer func() { err = errors.Join(err, file.Close()) }()
		return keeper.Keep(ctx, recording.Info{CallID: id, Storage: c.Options.RecordStorage, StartedAt: began}, file)
	}, func(late recording.Recording) {
		if err := s.eraseSound(context.Background(), late); err != nil {
			s.log.Error("copy of a carrier's recording is left", "call", id, "key", late.Key, "err", err)
		}
	})
	if err != nil {
		return rec, err
	}
	rec.Source, rec.CreatedAt = recordingID, rec.CreatedAt.Round(0).UTC()
	err = s.amend(ctx, id, func(c *Call) *Event {
		c.Fetched = append(c.Fetched, rec)
		return &Event{Type: EventCarrierRecording, Name: recordingID, Detail: "fetched"}
	})
	if err != nil { // the call may have been erased meanwhile
		return rec, errors.Join(err, s.eraseSound(context.WithoutCancel(ctx), rec))
	}
	return rec, nil
}

// eraseSound deletes what the recorder has kept.
func (s *Service) eraseSound(ctx context.Context, rec recording.Recording) error {
	e, ok := s.cfg.Recorder.(recording.Eraser)
	if !ok {
		return errors.ErrUnsupported
	}
	return s.do(ctx, eraseTime, func(ctx context.Context) error { return e.Erase(ctx, rec) })
}

// fetchLater fetches a recording in the background, if that is wished for.
func (s *Service) fetchLater(id, recordingID string) {
	if !s.cfg.FetchCarrierRecordings {
		return
	}
	name := id + "/" + recordingID
	free, room := s.fetches.begin(name)
	if !free {
		return
	}
	if !room {
		s.counts.fetchesFailed.Add(1)
		s.log.Error("carrier's recording not fetched: too many wait", "call", id)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining { // it stays with the carrier
		s.fetches.end(name)
		s.counts.fetchesFailed.Add(1)
		return
	}
	s.calls.Go(func() {
		defer s.fetches.end(name)
		if err := s.fetchPatiently(s.chores.ctx, id, recordingID); err != nil {
			s.counts.fetchesFailed.Add(1)
			s.log.Error("carrier's recording not fetched", "call", id, "recording", recordingID, "err", err)
		}
	})
}

func (s *Service) fetchPatiently(ctx context.Context, id, recordingID string) error {
	for try := 1; ; try++ {
		select {
		case s.fetches.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		_, err := s.fetch(ctx, id, recordingID)
		<-s.fetches.slots
		if err == nil || try == fetchTries || errors.Is(err, ErrNotFound) || errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		pause := time.NewTimer(fetchFirst << (2 * (try - 1)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
