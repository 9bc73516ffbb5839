package callecho

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// restless is the agent of the soak: it says long things and echoes, is
// interrupted by its callers and breaks off by itself, and ends some calls in
// each of the ways there are.
func restless(ctx context.Context, s *call.Session) error {
	tone := make([]int16, s.Format().Rate/5)
	for i := range tone {
		tone[i] = int16(i%40*200 - 4000)
	}
	line := s.Line(s.Format().Rate)
	for ctx.Err() == nil {
		said := s.Speak(audio.Loop(tone, s.Format().Rate, 5+rand.IntN(20)))
		pause, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(6000))*time.Millisecond)
		_, _ = said.Wait(pause) // the pause ends first, or what was said
		cancel()
		switch rand.IntN(8) {
		case 0, 1, 2:
			s.Clear()
		case 3, 4, 5:
			if err := echoFor(line, 2*s.Format().Rate); err != nil {
				return nil // the call has ended
			}
		case 6:
			s.Hangup()
			<-ctx.Done()
		case 7:
			return nil // what was said is played to its end
		}
	}
	return nil
}

// echoFor says back so many samples.
func echoFor(line *call.Line, samples int) error {
	var buf [160]int16
	for samples > 0 {
		n, err := line.ReadPCM(buf[:])
		if err == nil {
			_, err = line.WritePCM(buf[:n])
		}
		if err != nil {
			return err
		}
		samples -= n
	}
	return nil
}
