// Package story is an agent of one's own: it tells a story, sentence by sentence,
// and takes it up again at the sentence in which it was interrupted.
//
// The session does the interrupting: it silences the agent when the caller
// begins to speak, lets it go on after a cough, and tells how much of each
// sentence was heard.
package story

import (
	"context"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// Agent tells a story.
type Agent struct {
	Sentences []Sentence
	// Patience is how long the caller must have been silent for the story to go
	// on. Zero: a second.
	Patience time.Duration
}

// Sentence is a part of a story.
type Sentence struct {
	Text  string
	Sound func() audio.Reader
}

// Serve tells the story to its end.
func (a Agent) Serve(ctx context.Context, s *call.Session) error {
	ears, err := newEars(s, a.Patience)
	if err != nil {
		return err
	}
	for next := 0; next < len(a.Sentences); {
		sentence := a.Sentences[next]
		speech := s.Say(call.Utterance{Audio: sentence.Sound(), Text: sentence.Text})
		if err := ears.listen(speech); err != nil {
			return err
		}
		heard, err := speech.Wait(ctx)
		if err != nil {
			return err
		}
		if heard.Status != call.HeardCut {
			next++
			continue
		}
		s.Log("interrupted", map[string]string{"sentence": sentence.Text, "heard": heard.Duration.Round(time.Millisecond).String()})
		if err := ears.untilQuiet(); err != nil {
			return err
		}
	}
	return nil
}

// ears know whether the caller speaks. The sound of the caller is a clock: it
// comes all the time, until the call is over.
type ears struct {
	line     *call.Line
	detector *audio.Detector
	patience time.Duration
	buf      []int16
}

func newEars(s *call.Session, patience time.Duration) (*ears, error) {
	if patience == 0 {
		patience = time.Second
	}
	rate := s.Format().Rate
	detector, err := audio.NewDetector(audio.DetectorConfig{Rate: rate})
	if err != nil {
		return nil, err
	}
	return &ears{line: s.Line(rate), detector: detector, patience: patience, buf: make([]int16, rate/50)}, nil
}

// hear takes the next bit of sound and tells how long it is.
func (e *ears) hear() (time.Duration, error) {
	n, err := e.line.ReadPCM(e.buf)
	e.detector.Append(nil, e.buf[:n])
	return audio.Duration(n, e.line.Rate()), err
}

// listen listens while something is said.
func (e *ears) listen(speech *call.Speech) error {
	for {
		select {
		case <-speech.Done():
			return nil
		default:
		}
		if _, err := e.hear(); err != nil {
			return err
		}
	}
}

// untilQuiet listens until the caller has said what there was to say.
func (e *ears) untilQuiet() error {
	for quiet := time.Duration(0); quiet < e.patience; {
		d, err := e.hear()
		if err != nil {
			return err
		}
		quiet += d
		if e.detector.Speaking() {
			quiet = 0
		}
	}
	return nil
}
