package micro

import (
	webrtcvad "github.com/maxhawkins/go-webrtcvad"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/speech"
)

// webRTC is WebRTC's detector, in C, from 0, which takes most for speech, to 3.
func webRTC(mode int) finder {
	return func(pcm []int16) ([]bool, error) {
		vad, err := webrtcvad.New()
		if err != nil {
			return nil, err
		}
		if err := vad.SetMode(mode); err != nil {
			return nil, err
		}
		found := make([]bool, len(pcm)/speech.Step)
		for i := range found {
			if found[i], err = vad.Process(8000, bytesOf(pcm[i*speech.Step:][:speech.Step])); err != nil {
				return nil, err
			}
		}
		return found, nil
	}
}

func webRTCCase(c speech.Condition) (measure.Case, error) {
	vad, err := webrtcvad.New()
	if err != nil {
		return measure.Case{}, err
	}
	sound := bytesOf(c.PCM)
	at := 0
	return measure.Case{Name: "WebRTC", Do: func() {
		if _, err := vad.Process(8000, sound[at:at+2*speech.Step]); err != nil {
			panic(err)
		}
		at = (at + 2*speech.Step) % (len(sound) - 2*speech.Step)
	}}, nil
}
