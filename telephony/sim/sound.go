package sim

import (
	"math"
	"time"
	"unicode"
)

const (
	frame       = 20 * time.Millisecond
	letterTime  = 60 * time.Millisecond
	letterLevel = 2000 // about -24 dB of full scale
	keyTime     = 100 * time.Millisecond
	keyGap      = 100 * time.Millisecond
	keyLevel    = 4000
)

// speak renders text: a tone for each letter or digit, silence for all else.
func speak(text string) []int16 {
	var pcm []int16
	for _, r := range text {
		letter := make([]int16, samplesIn(letterTime))
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			tone(letter, letterLevel, 300+20*float64(r%32))
		}
		pcm = append(pcm, letter...)
	}
	return pcm
}

// dialTones renders keys as a telephone does (ITU-T Q.23): a pair of tones for each,
// and silence of half a second for w, of a second for W. Other characters make
// no sound.
func dialTones(keys string) []int16 {
	var pcm []int16
	for _, k := range []byte(keys) {
		if d := keyPause(k); d > 0 {
			pcm = append(pcm, make([]int16, samplesIn(d))...)
			continue
		}
		low, high, ok := keyTones(k)
		if !ok {
			continue
		}
		key := make([]int16, samplesIn(keyTime+keyGap))
		tone(key[:samplesIn(keyTime)], keyLevel, low, high)
		pcm = append(pcm, key...)
	}
	return pcm
}

// keyPause is how long a pause character lasts, 0 for a key.
func keyPause(k byte) time.Duration {
	switch k {
	case 'w':
		return 500 * time.Millisecond
	case 'W':
		return time.Second
	}
	return 0
}

// keyTones returns the two frequencies of a key.
func keyTones(k byte) (low, high float64, ok bool) {
	rows := [4]float64{697, 770, 852, 941}
	columns := [4]float64{1209, 1336, 1477, 1633}
	for i, c := range []byte("123A456B789C*0#D") {
		if c == k {
			return rows[i/4], columns[i%4], true
		}
	}
	return 0, 0, false
}

// tone adds sine waves of the same level to pcm.
func tone(pcm []int16, level float64, hertz ...float64) {
	for i := range pcm {
		sum := 0.0
		for _, f := range hertz {
			sum += math.Sin(2 * math.Pi * f * float64(i) / rate)
		}
		pcm[i] = int16(level * sum)
	}
}

// keysOf returns the keys in s without its pauses.
func keysOf(s string) string {
	var keys []byte
	for _, k := range []byte(s) {
		if _, _, ok := keyTones(k); ok {
			keys = append(keys, k)
		}
	}
	return string(keys)
}
