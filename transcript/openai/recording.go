package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// recording transcribes a WAV file.
func (r *requester) recording(ctx context.Context, file io.Reader, parallel int, callerOnly bool) ([]transcript.Segment, error) {
	w, err := audio.NewWAVReader(file)
	if err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	if !audio.SupportedRate(w.Rate()) {
		return nil, fmt.Errorf("openai: %w: %v", transcript.ErrFormat, w.Format())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &batch{requester: r, ctx: ctx, cancel: cancel, places: make(chan struct{}, parallel)}
	if err := b.read(w, callerOnly); err != nil {
		cancel(err)
	}
	b.wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return b.segments(), nil
}

// batch has the utterances of one file transcribed.
type batch struct {
	requester *requester
	ctx       context.Context
	cancel    context.CancelCauseFunc // with the first error
	places    chan struct{}           // for requests at once
	wg        sync.WaitGroup
	heard     []*utterance // in the order in which they were cut
}

// read cuts the file into utterances and has them transcribed as it goes.
func (b *batch) read(w *audio.WAVReader, callerOnly bool) error {
	tracks := w.Channels()
	if callerOnly {
		tracks = 1
	}
	cutters := make([]*cutter, tracks)
	for i := range cutters {
		c, err := newCutter(audio.Track(i), w.Rate())
		if err != nil {
			return err
		}
		cutters[i] = c
	}
	all := make([]int16, audio.Samples(chunk, w.Rate())*w.Channels())
	var one []int16
	for {
		n, err := w.ReadPCM(all)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("openai: %w", err)
		}
		for i, c := range cutters {
			one = side(one[:0], all[:n], i, w.Channels())
			us := c.add(nil, one)
			if ended {
				us = c.flush(us, c.end())
			}
			for _, u := range us {
				if err := b.ask(u); err != nil {
					return err
				}
			}
		}
		if ended {
			return nil
		}
	}
}

// ask has an utterance transcribed once there is a place.
func (b *batch) ask(u *utterance) error {
	select {
	case b.places <- struct{}{}:
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
	b.heard = append(b.heard, u)
	b.wg.Go(func() {
		defer func() { <-b.places }()
		if b.requester.hear(b.ctx, u); u.err != nil {
			b.cancel(u.err)
		}
	})
	return nil
}

func (b *batch) segments() (segments []transcript.Segment) {
	var number [2]int
	for _, u := range b.heard {
		if seg, ok := u.segment(); ok {
			seg.ID = strconv.Itoa(number[u.track])
			number[u.track]++
			segments = append(segments, seg)
		}
	}
	slices.SortStableFunc(segments, func(a, b transcript.Segment) int { return cmp.Compare(a.At, b.At) })
	return segments
}
