// Package transcripttest judges implementations of transcript.Transcriber: ours
// and others'.
package transcripttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// patience is how long a transcriber may take to close.
const patience = 10 * time.Second

// TestTranscriber tests that the transcribers that newTranscriber returns do
// what transcript.Transcriber and transcript.Sink say. They hear a tone; whether
// and what words they make of it does not matter.
func TestTranscriber(t *testing.T, newTranscriber func(t *testing.T) transcript.Transcriber) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if err := rule.check(t.Context(), newTranscriber(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A rule returns an error if the transcriber breaks it.
type rule struct {
	name  string
	check func(ctx context.Context, tr transcript.Transcriber) error
}

var rules = []rule{
	{"segments are what they ought to be", checkSegments},
	{"a final segment has no later version", checkFinal},
	{"frames are left as they were", checkFrames},
	{"Close returns the same again", checkCloseTwice},
	{"WriteFrame after Close does nothing", checkWriteAfterClose},
	{"nothing is emitted after Close", checkEmitAfterClose},
	{"Close returns when its context has ended", checkCloseContext},
	{"a call without audio is closed", checkNoAudio},
	{"many calls are transcribed at once", checkCalls},
}

// hearing is one call that is transcribed.
type hearing struct {
	transcript.Sink

	mu       sync.Mutex
	segments []transcript.Segment
	closed   bool
	late     int // segments after Close
}

// hear begins a call.
func hear(ctx context.Context, tr transcript.Transcriber, callID string) (*hearing, error) {
	h := &hearing{}
	sink, err := tr.Transcribe(ctx, transcript.Info{CallID: callID, Language: "en-US", Format: audio.Telephone, Emit: h.emit})
	if err != nil {
		return nil, fmt.Errorf("transcribe: %w", err)
	}
	h.Sink = sink
	return h, nil
}

func (h *hearing) emit(s transcript.Segment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.segments = append(h.segments, s)
	if h.closed {
		h.late++
	}
}

// close waits for the last words.
func (h *hearing) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := h.Close(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// heard is what was emitted until now.
func (h *hearing) heard() []transcript.Segment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]transcript.Segment(nil), h.segments...)
}

// say writes a second of audio of both tracks.
func (h *hearing) say() {
	for i := range 50 {
		for track := range audio.Outbound + 1 {
			h.WriteFrame(frame(track, i))
		}
	}
}

func frame(track audio.Track, i int) *audio.Frame {
	f := &audio.Frame{Track: track, Format: audio.Telephone, At: time.Duration(i) * 20 * time.Millisecond,
		Payload: make([]byte, 160), PCM: make([]int16, 160)}
	for j := range f.PCM {
		f.PCM[j] = int16(8000 * math.Sin(2*math.Pi*440*float64(160*i+j)/8000))
	}
	audio.Encode(f.Payload, f.Format.Encoding, f.PCM)
	return f
}

// one transcribes a second of a call to its end.
func one(ctx context.Context, tr transcript.Transcriber, callID string) (*hearing, error) {
	h, err := hear(ctx, tr, callID)
	if err != nil {
		return nil, err
	}
	h.say()
	return h, h.close(ctx)
}

func checkSegments(ctx context.Context, tr transcript.Transcriber) error {
	h, err := one(ctx, tr, "call")
	if err != nil {
		return err
	}
	for _, s := range h.heard() {
		switch {
		case s.Speaker != transcript.Agent && s.Speaker != transcript.Customer:
			return fmt.Errorf("segment %+v is of nobody", s)
		case s.At < 0 || s.End < s.At:
			return fmt.Errorf("segment %+v ends before it begins", s)
		case !(s.Confidence >= 0 && s.Confidence <= 1):
			return fmt.Errorf("segment %+v has an odd confidence", s)
		case s.Gap && s.Text != "":
			return fmt.Errorf("segment %+v is a gap with words", s)
		}
		for _, w := range s.Words {
			if w.At < 0 || w.End < w.At || !(w.Confidence >= 0 && w.Confidence <= 1) || s.Gap {
				return fmt.Errorf("segment %+v has an odd word %+v", s, w)
			}
		}
	}
	return nil
}

func checkFinal(ctx context.Context, tr transcript.Transcriber) error {
	h, err := one(ctx, tr, "call")
	if err != nil {
		return err
	}
	type key struct {
		speaker transcript.Speaker
		id      string
	}
	final := make(map[key]bool)
	for _, s := range h.heard() {
		k := key{s.Speaker, s.ID}
		if s.ID != "" && final[k] {
			return fmt.Errorf("segment %+v comes after its final version", s)
		}
		final[k] = final[k] || s.Final
	}
	return nil
}

func checkFrames(ctx context.Context, tr transcript.Transcriber) error {
	h, err := hear(ctx, tr, "call")
	if err != nil {
		return err
	}
	var changed error
	for i := range 50 {
		f, want := frame(audio.Inbound, i), frame(audio.Inbound, i)
		h.WriteFrame(f)
		if f.At != want.At || string(f.Payload) != string(want.Payload) || fmt.Sprint(f.PCM) != fmt.Sprint(want.PCM) {
			changed = errors.New("WriteFrame changes the frame")
		}
		clear(f.PCM) // the frame belongs to us again, as the race detector knows
		clear(f.Payload)
	}
	return errors.Join(changed, h.close(ctx))
}

func checkCloseTwice(ctx context.Context, tr transcript.Transcriber) error {
	h, err := hear(ctx, tr, "call")
	if err != nil {
		return err
	}
	h.say()
	first := h.close(ctx)
	second := h.close(ctx)
	if fmt.Sprint(first) != fmt.Sprint(second) {
		return fmt.Errorf("close returned %v, and again %v", first, second)
	}
	return first
}

func checkWriteAfterClose(ctx context.Context, tr transcript.Transcriber) error {
	h, err := one(ctx, tr, "call")
	if err != nil {
		return err
	}
	before := len(h.heard())
	h.say()
	if err := h.close(ctx); err != nil {
		return err
	}
	if after := len(h.heard()); after != before {
		return fmt.Errorf("%d segments came of audio after Close", after-before)
	}
	return nil
}

func checkEmitAfterClose(ctx context.Context, tr transcript.Transcriber) error {
	h, err := one(ctx, tr, "call")
	if err != nil {
		return err
	}
	if _, err := one(ctx, tr, "another"); err != nil { // which takes a while
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.late > 0 {
		return fmt.Errorf("%d segments came after Close", h.late)
	}
	return nil
}

func checkCloseContext(ctx context.Context, tr transcript.Transcriber) error {
	h, err := hear(ctx, tr, "call")
	if err != nil {
		return err
	}
	h.say()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Close(ended) // whatever it says, if it only returns
	}()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-done:
		return nil
	case <-timeout.C:
		return errors.New("close does not return although its context has ended")
	}
}

func checkNoAudio(ctx context.Context, tr transcript.Transcriber) error {
	h, err := hear(ctx, tr, "call")
	if err != nil {
		return err
	}
	return h.close(ctx)
}

func checkCalls(ctx context.Context, tr transcript.Transcriber) error {
	const calls = 8
	var failed [calls]error
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() { _, failed[i] = one(ctx, tr, fmt.Sprintf("call-%d", i)) })
	}
	wg.Wait()
	return errors.Join(failed[:]...)
}
