package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Carriers can record a call on their own premises, whatever Config.Recorder
// does. Such recordings stand in Call.CarrierRecordings; those still in progress
// end with the call, and the carrier tells later when they are there.

// StartCarrierRecording has the carrier record a live call that was answered, and
// returns the carrier's id for the recording. The error wraps
// errors.ErrUnsupported if the carrier cannot.
func (s *Service) StartCarrierRecording(ctx context.Context, id string, r telephony.RecordRequest) (string, error) {
	did, err := s.order(ctx, order{Deed: deedStartRecording, Call: id, Record: &r})
	if err != nil {
		return "", fmt.Errorf("call: carrier recording: %w", err)
	}
	return did.RecordingID, nil
}

func (s *Service) startCarrierRecording(ctx context.Context, l *live, r telephony.RecordRequest) (string, error) {
	recorder, ok := l.carrier().(telephony.CallRecorder)
	if !ok {
		return "", errors.ErrUnsupported
	}
	c := l.snapshot()
	if c.State < Connected || c.State >= Ending {
		return "", fmt.Errorf("call is %v: %w", c.State, telephony.ErrCallState)
	}
	r.StatusURL = l.webhook("recording")
	recordingID, err := within(ctx, s, requestTimeout, func(ctx context.Context) (string, error) {
		return recorder.StartRecording(ctx, c.ProviderCallID, &r)
	}, nil)
	if err != nil {
		return "", err
	}
	report := telephony.RecordingReport{ID: recordingID, Status: telephony.RecordingInProgress}
	return recordingID, s.noteRecording(ctx, l.id, report)
}

// PauseCarrierRecording leaves out what follows, with silence in its place.
func (s *Service) PauseCarrierRecording(ctx context.Context, id, recordingID string) error {
	return s.withRecording(ctx, id, recordingID, telephony.CallRecorder.PauseRecording)
}

// ResumeCarrierRecording ends a pause.
func (s *Service) ResumeCarrierRecording(ctx context.Context, id, recordingID string) error {
	return s.withRecording(ctx, id, recordingID, telephony.CallRecorder.ResumeRecording)
}

// StopCarrierRecording ends a recording of the carrier's before its call ends.
func (s *Service) StopCarrierRecording(ctx context.Context, id, recordingID string) error {
	return s.withRecording(ctx, id, recordingID, telephony.CallRecorder.StopRecording)
}

// OpenCarrierRecording returns a recording of the carrier's as a WAV file, which
// the caller closes. Until the carrier has it the error wraps
// telephony.ErrCallGone.
func (s *Service) OpenCarrierRecording(ctx context.Context, id, recordingID string) (io.ReadCloser, error) {
	return withRecording(ctx, s, id, recordingID, func(r telephony.CallRecorder, _ context.Context, _, recordingID string) (io.ReadCloser, error) {
		return r.OpenRecording(ctx, recordingID) // which ends with this ctx: it is read for longer than a request
	}, func(late io.ReadCloser) { _ = late.Close() })
}

// DeleteCarrierRecording has the carrier delete a recording.
func (s *Service) DeleteCarrierRecording(ctx context.Context, id, recordingID string) error {
	err := s.withRecording(ctx, id, recordingID, func(r telephony.CallRecorder, ctx context.Context, _, recordingID string) error {
		return r.DeleteRecording(ctx, recordingID)
	})
	if err != nil {
		return err
	}
	if _, err = s.order(ctx, order{Deed: deedForgetRecording, Call: id, RecordingID: recordingID}); err != nil {
		return fmt.Errorf("call: carrier recording: %w", err)
	}
	return nil
}

// forgetRecording takes a recording that the carrier has deleted off the record.
func (s *Service) forgetRecording(ctx context.Context, id, recordingID string) error {
	return s.amend(ctx, id, func(c *Call) *Event {
		c.CarrierRecordings = slices.DeleteFunc(c.CarrierRecordings, func(r telephony.RecordingReport) bool { return r.ID == recordingID })
		return &Event{Type: EventCarrierRecording, Name: recordingID, Detail: "deleted"}
	})
}

// withRecording does something with a recording that is one of the call's.
func (s *Service) withRecording(ctx context.Context, id, recordingID string, do func(r telephony.CallRecorder, ctx context.Context, leg, id string) error) error {
	_, err := withRecording(ctx, s, id, recordingID, func(r telephony.CallRecorder, ctx context.Context, leg, id string) (struct{}, error) {
		return struct{}{}, do(r, ctx, leg, id)
	}, nil)
	return err
}

// withRecording gets something by doing so; what comes too late is given to late.
func withRecording[T any](ctx context.Context, s *Service, id, recordingID string, do func(r telephony.CallRecorder, ctx context.Context, leg, id string) (T, error), late func(T)) (got T, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("call: carrier recording: %w", err)
		}
	}()
	c, err := s.Call(ctx, id)
	if err != nil {
		return got, err
	}
	if !slices.ContainsFunc(c.CarrierRecordings, func(r telephony.RecordingReport) bool { return r.ID == recordingID }) {
		return got, fmt.Errorf("recording %q: %w", recordingID, ErrNotFound)
	}
	recorder, ok := s.providers[c.Provider].(telephony.CallRecorder)
	if !ok {
		return got, errors.ErrUnsupported
	}
	return within(ctx, s, requestTimeout, func(ctx context.Context) (T, error) {
		return do(recorder, ctx, c.ProviderCallID, recordingID)
	}, late)
}

// recorded takes a carrier's report about a recording of its own, which may come
// long after the call.
func (s *Service) recorded(ctx context.Context, provider Provider, id string, e telephony.Event) *telephony.Answer {
	if e.Recording == nil || e.Recording.ID == "" {
		return nothing
	}
	c, err := s.Call(ctx, id)
	if err != nil || c.Provider != provider.Name() || e.ProviderCallID != "" && e.ProviderCallID != c.ProviderCallID {
		return nothing // not ours, or erased
	}
	if err := s.noteRecording(ctx, id, *e.Recording); err != nil {
		s.log.Error("report of a carrier's recording not stored", "call", id, "err", err)
	}
	if e.Recording.Status == telephony.RecordingCompleted {
		s.fetchLater(id, e.Recording.ID)
	}
	return nothing
}

// noteRecording puts a report on the call's record. A report that tells nothing
// new changes nothing, and neither does one that has been overtaken.
func (s *Service) noteRecording(ctx context.Context, id string, report telephony.RecordingReport) error {
	return s.amend(ctx, id, func(c *Call) *Event {
		i := slices.IndexFunc(c.CarrierRecordings, func(r telephony.RecordingReport) bool { return r.ID == report.ID })
		switch {
		case i < 0 && len(c.CarrierRecordings) >= maxCarrierRecordings:
			return nil
		case i < 0:
			c.CarrierRecordings = append(c.CarrierRecordings, report)
		case c.CarrierRecordings[i] == report || report.Status == telephony.RecordingInProgress:
			return nil
		default:
			c.CarrierRecordings[i] = report
		}
		return &Event{Type: EventCarrierRecording, Name: report.ID, Detail: string(report.Status)}
	})
}

const (
	// maxCarrierRecordings is how many recordings of the carrier's a call has at
	// most.
	maxCarrierRecordings = 32
	// amendTries is how often a record of a call that is over is read and
	// written until nobody else has written it in between.
	amendTries = 4
)

// amend changes the record of a call that may be over, and logs the event that
// change returns, if there is one; otherwise it has changed nothing.
func (s *Service) amend(ctx context.Context, id string, change func(c *Call) *Event) error {
	if l := s.find(id); l != nil && l.amend(change) {
		return nil
	}
	var err error
	for range amendTries {
		var c *Call
		if c, err = s.stored(ctx, id); err != nil {
			return err
		}
		if !c.ErasedAt.IsZero() {
			return fmt.Errorf("%w: it was erased", ErrNotFound)
		}
		if !c.State.Terminal() {
			err = ErrConflict // it is another process's, or its last write is under way
			select {
			case <-time.After(amendPause):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		e := change(c)
		if e == nil {
			return nil
		}
		c.Events++
		c.Version++
		c.Owner = s.owner()
		e.CallID, e.Tenant, e.Seq, e.At, e.State = c.ID, c.Tenant, c.Events, time.Now(), c.State
		err = s.tellStore(ctx, func(ctx context.Context) error { return s.cfg.Store.Update(ctx, c, []Event{*e}) })
		if err == nil {
			s.subs.publish(*e)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

// amendPause is how long to wait for the last write of a call.
const amendPause = 250 * time.Millisecond

// amend is Service.amend for a call that is live. It reports false if the last
// record has been made.
func (l *live) amend(change func(c *Call) *Event) bool {
	l.mu.Lock()
	if l.final != nil {
		l.mu.Unlock()
		return false
	}
	if e := change(l.record); e != nil {
		stamped := l.stamp(*e)
		l.writer.add(stamped)
		l.svc.subs.publish(stamped)
	}
	l.mu.Unlock()
	l.writer.wake()
	return true
}
