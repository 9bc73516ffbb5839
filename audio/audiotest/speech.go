package audiotest

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Speech returns sound of so long from a WAV file of 8,000 samples a second, from
// its first loud sample on. The test ends if the file has less.
func Speech(t testing.TB, path string, d time.Duration) []int16 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	channels, rate, err := audio.ReadWAV(f)
	if err != nil || rate != 8000 {
		t.Fatalf("%s: %d samples a second, %v", path, rate, err)
	}
	const loud = 1500
	begin := slices.IndexFunc(channels[0], func(s int16) bool { return s > loud || s < -loud })
	if begin < 0 || len(channels[0])-begin < audio.Samples(d, rate) {
		t.Fatalf("%s has less than %v of speech", path, d)
	}
	return channels[0][begin:][:audio.Samples(d, rate)]
}
