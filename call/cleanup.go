package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/transcript"
)

// The deadlines of the cleanup steps.
const (
	socketsDeadline    = 2 * time.Second
	recordingDeadline  = 5 * time.Second
	transcriptDeadline = 5 * time.Second
	redactDeadline     = time.Second // of the last words, once the transcriber has ended
	recordDeadline     = 5 * time.Second
)

// cleanUp does one step of the cleanup and reports it done, whatever came of it.
// A step that fails, panics or does not end in time is noted on the record.
func (l *live) cleanUp(s step) {
	session := l.currentSession()
	err := func() (err error) {
		defer recoverTo(&err)
		switch s {
		case stepSockets:
			return l.closeSockets(session)
		case stepRecording:
			return l.closeRecording(session)
		case stepTranscript:
			return l.closeTranscript(session)
		case stepMetrics:
			return l.closeMetrics(session)
		case stepRecord:
			return l.closeRecord()
		}
		return nil
	}()
	if err != nil {
		l.log.Error("cleanup step failed", "step", s.String(), "err", err)
		if s != stepRecord { // after which nothing can be added
			l.leave(s.String(), err)
		}
	}
	l.tell(input{kind: inStepDone, step: s})
}

// leave notes that something about the end of the call went wrong.
func (l *live) leave(what string, err error) {
	l.update(func(c *Call) {
		if !slices.Contains(c.Metrics.Leftover, what) {
			c.Metrics.Leftover = append(c.Metrics.Leftover, what)
		}
	})
	l.emit(Event{Type: EventCleanup, Name: what, Detail: err.Error()})
}

// closeSockets closes the media stream and waits for it and for the agent.
func (l *live) closeSockets(session *Session) error {
	if session == nil {
		return nil
	}
	newest := l.newestLink()
	session.link.Load().conn.Close(context.Cause(l.ctx))
	newest.conn.Close(context.Cause(l.ctx)) // the same one, unless the caller was just coming back
	deadline := time.NewTimer(socketsDeadline)
	defer deadline.Stop()
	var err error
	select {
	case <-newest.done:
	case <-deadline.C:
		err = fmt.Errorf("stream %w", errLate)
	}
	session.end()
	return errors.Join(err, l.waitForAgent(session))
}

// waitForAgent gives the agent, and the sound it plays, its grace. One that does
// not return is left behind and counted until it does.
func (l *live) waitForAgent(session *Session) error {
	returned := make(chan struct{})
	go func() {
		session.host.Wait()
		close(returned)
	}()
	grace := time.NewTimer(l.svc.cfg.AgentGrace)
	defer grace.Stop()
	select {
	case <-returned:
		return nil
	case <-grace.C:
	}
	l.svc.counts.agentsLeft.Add(1)
	go func() {
		<-returned
		l.svc.counts.agentsLeft.Add(-1)
	}()
	return fmt.Errorf("agent %w", errLate)
}

func (l *live) closeRecording(session *Session) error {
	if session == nil {
		return l.salvageRecording()
	}
	late := session.decision()
	recorder := session.sinks.Load().recorder
	if recorder == nil {
		return late
	}
	kept, err := within(context.WithoutCancel(l.context()), l.svc, recordingDeadline, func(ctx context.Context) (recording.Recording, error) {
		return recorder.Close(ctx, session.length())
	}, nil)
	event := Event{Type: EventRecording}
	if err != nil {
		event.Detail = err.Error()
	}
	if kept.Key != "" {
		l.update(func(c *Call) { c.Recording = &kept })
	}
	l.emit(event)
	return err
}

// salvageRecording attaches what a process that ended during the call has left of
// its recording, if the recorder can tell.
func (l *live) salvageRecording() error {
	c := l.snapshot()
	salvager, ok := l.svc.cfg.Recorder.(recording.Salvager)
	if !ok || !l.recovered || !c.Options.Record || c.Recording != nil {
		return nil
	}
	kept, err := within(context.WithoutCancel(l.context()), l.svc, recordingDeadline, func(ctx context.Context) (recording.Recording, error) {
		return salvager.Salvage(ctx, recording.Info{
			CallID: l.id, Storage: c.Options.RecordStorage, StartedAt: c.CreatedAt,
		})
	}, nil)
	switch {
	case errors.Is(err, recording.ErrNotFound):
		return nil // none had begun
	case err != nil:
		l.emit(Event{Type: EventRecording, Detail: err.Error()})
		return err
	}
	l.update(func(c *Call) { c.Recording = &kept })
	l.emit(Event{Type: EventRecording})
	return nil
}

func (l *live) closeTranscript(session *Session) error {
	if session == nil {
		return l.recallTranscript()
	}
	var err error
	transcriber := session.sinks.Load().transcriber
	if transcriber != nil {
		err = l.svc.do(context.WithoutCancel(l.context()), transcriptDeadline, transcriber.Close)
	}
	session.notes.close(redactDeadline)
	said := session.notes.segments()
	l.update(func(c *Call) { c.Transcript = said })
	if transcriber != nil {
		l.judge(session.notes.missing, err)
	}
	return err
}

// recallTranscript brings back, from the events of a call, what was said before
// the process ended.
func (l *live) recallTranscript() error {
	c := l.snapshot()
	if !l.recovered || c.AnsweredAt.IsZero() || c.Transcript != nil {
		return nil
	}
	events, err := l.svc.events(context.WithoutCancel(l.context()), l.id, 0)
	var said transcript.Transcript
	for _, e := range events {
		if e.Segment != nil {
			said.Add(*e.Segment)
		}
	}
	l.update(func(c *Call) { c.Transcript = said.Segments() })
	if c.Options.Transcribe {
		l.degrade("the service ended during the call")
	}
	return err
}

func (l *live) closeMetrics(session *Session) error {
	if session == nil {
		return nil
	}
	select {
	case <-l.newestLink().done:
	default:
		return fmt.Errorf("stream %w", errLate) // it is in code of the host's, and counts
	}
	m := session.metrics()
	l.update(func(c *Call) {
		m.Leftover, m.Figures = c.Metrics.Leftover, c.Metrics.Figures
		c.Metrics = m
	})
	return nil
}

// closeRecord stores the record with its terminal state. The state is announced
// when it has been stored, or will be stored in the background.
func (l *live) closeRecord() error {
	l.mu.Lock()
	final, last := l.final.Clone(), l.last
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.context()), recordDeadline)
	defer cancel()
	return l.writer.finish(ctx, final, last)
}
