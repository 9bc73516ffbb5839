package audiotest

import (
	"testing"
	"time"
)

func TestSpeechBeginsAtOnce(t *testing.T) {
	pcm := Speech(t, "../testdata/speech/en-f.wav", time.Second)
	if len(pcm) != 8000 || pcm[0] < 1500 && pcm[0] > -1500 {
		t.Errorf("%d samples, the first is %d", len(pcm), pcm[0])
	}
}
