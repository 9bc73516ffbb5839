package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

// degrade notes that words are missing, or may be, and why.
func (l *live) degrade(why string) {
	why = telephony.Mask(why)
	l.update(func(c *Call) { c.TranscriptSource, c.TranscriptDetail = Degraded, why })
	l.emit(Event{Type: EventTranscription, Name: string(Degraded), Detail: why})
}

// judge notes how the live transcription of a call has gone: what is missing in
// its gaps, and what its end failed with.
func (l *live) judge(missing time.Duration, err error) {
	switch {
	case err != nil:
		l.degrade("it failed: " + err.Error())
	case missing > 0:
		l.degrade(fmt.Sprintf("%v are missing", missing.Round(time.Millisecond)))
	default:
		l.update(func(c *Call) { c.TranscriptSource = Live })
	}
}

// retranscriber is who makes words out of recordings; nil if nobody does.
func (s *Service) retranscriber() transcript.Retranscriber {
	if s.cfg.Retranscriber != nil {
		return s.cfg.Retranscriber
	}
	r, _ := s.cfg.Transcriber.(transcript.Retranscriber)
	return r
}

// canRetranscribe reports whether a call's words are to be made out of its
// recording, and can be.
func (s *Service) canRetranscribe(c *Call) bool {
	_, opens := s.cfg.Recorder.(recording.Opener)
	return opens && c.TranscriptSource == Degraded && s.retranscriber() != nil &&
		c.Recording != nil && c.Recording.Key != "" && c.Recording.Channels > 1
}

// retranscribe puts onto the record of a call what its recording has to say.
func (s *Service) retranscribe(a *chore) error {
	c, err := s.stored(s.chores.ctx, a.id)
	if err != nil {
		return err
	}
	segments, err := within(s.chores.ctx, s, choreTime, func(ctx context.Context) ([]transcript.Segment, error) {
		return s.listenAgain(ctx, c)
	}, nil)
	if err != nil {
		return err
	}
	if redact := s.redaction(); redact != nil {
		for i, seg := range segments {
			kept, err := s.redacted(redact, seg)
			if err != nil {
				return fmt.Errorf("redactor: %w", err)
			}
			segments[i] = kept
		}
	}
	return s.amend(s.chores.ctx, a.id, func(c *Call) *Event {
		c.Transcript = inOrder(a.told, segments)
		c.TranscriptSource = FromRecording
		return &Event{Type: EventTranscription, Name: string(FromRecording), Detail: c.TranscriptDetail}
	})
}

func (s *Service) listenAgain(ctx context.Context, c *Call) (segments []transcript.Segment, err error) {
	opener, ok := s.cfg.Recorder.(recording.Opener)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	file, err := opener.Open(ctx, *c.Recording)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return s.retranscriber().Retranscribe(ctx, transcript.Info{
		CallID: c.ID, Provider: c.Options.TranscribeProvider, Language: c.Options.Language,
	}, io.Reader(file))
}

// final reports whether there is no use in another try.
func final(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, transcript.ErrAuth) ||
		errors.Is(err, transcript.ErrRefused) || errors.Is(err, transcript.ErrFormat) ||
		errors.Is(err, transcript.ErrUnknownProvider) || errors.Is(err, ErrNotFound) ||
		errors.Is(err, recording.ErrNotFound) || isLate(err)
}

// explain adds to the record of a call why its transcript was not made up for.
func (s *Service) explain(id string, why error) {
	err := s.amend(s.chores.ctx, id, func(c *Call) *Event {
		c.TranscriptDetail += "; from the recording: " + telephony.Mask(why.Error())
		return &Event{Type: EventTranscription, Name: string(Degraded), Detail: c.TranscriptDetail}
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.Error("record not amended", "call", id, "err", err)
	}
}

// toldIn are those segments of a stored transcript that an agent has told: they
// are certain, and have but one version.
func toldIn(segments []transcript.Segment) (told []transcript.Segment) {
	for _, s := range segments {
		if s.Speaker == transcript.Agent && s.ID == "" && s.Confidence == 1 {
			told = append(told, s)
		}
	}
	return told
}
