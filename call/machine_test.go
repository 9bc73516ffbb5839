package call

import (
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
)

// On the media path an ear costs no allocation, whatever it hears.
func TestEarDoesNotAllocate(t *testing.T) {
	detector, err := audio.NewBeepDetector(8000)
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{detector: detector, tones: make([]audio.Tone, 0, 4)}
	sound := append(audiotest.Tone(1000, 300*time.Millisecond, 8000), audiotest.Silence(300*time.Millisecond, 8000)...)
	at := time.Duration(0)
	if n := testing.AllocsPerRun(10, func() {
		for rest := sound; len(rest) > 0; rest = rest[160:] {
			at += 20 * time.Millisecond
			e.listen(rest[:160], at, len(rest) > len(sound)/2)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if heard, _ := e.heard(); heard.beep < 300*time.Millisecond || heard.beep > 400*time.Millisecond || heard.voice != at-300*time.Millisecond {
		t.Errorf("heard a beep until %v, a voice until %v of %v", heard.beep, heard.voice, at)
	}
}
