package speech

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/switchboard-voice/switchboard/audio"
)

// A Condition is a conversation in noise, over a telephone line, at 8 kHz.
type Condition struct {
	Name string
	PCM  []int16
}

// Step is how many samples a detector decides about at once: 20 ms.
const Step = 160

// Conditions are the 22 in which detectors are compared: clean, soft, and four
// noises at five levels, all through mu-law; and for each step whether someone
// speaks in it.
func Conditions() ([]Condition, []bool, error) {
	sentences, err := Sentences()
	if err != nil {
		return nil, nil, err
	}
	clean := conversation(sentences)
	truth := spoken(clean)
	var voiced []float64
	for i, s := range truth {
		if s {
			voiced = append(voiced, clean[i*Step:][:Step]...)
		}
	}
	level := power(voiced)
	all := []Condition{
		{"clean", line(clean, 1, nil, 0)},
		{"clean, 20 dB softer", line(clean, 0.1, nil, 0)},
	}
	for _, noise := range []struct {
		name string
		x    []float64
	}{
		{"white", white(len(clean))},
		{"pink", pink(len(clean))},
		{"car", car(len(clean))},
		{"babble", babble(sentences, len(clean))},
	} {
		for snr := 20.0; snr >= 0; snr -= 5 {
			scale := math.Sqrt(level / power(noise.x) / math.Pow(10, snr/10))
			all = append(all, Condition{fmt.Sprintf("%s, %v dB", noise.name, snr), line(clean, 0.5, noise.x, scale)})
		}
	}
	return all, truth, nil
}

// conversation is the sentences with pauses of one to two and a half seconds
// around each.
func conversation(sentences [][]int16) []float64 {
	random := rand.New(rand.NewPCG(5, 6))
	var pcm []float64
	pause := func() { pcm = append(pcm, make([]float64, 8000+Step*random.IntN(75))...) }
	pause()
	for _, sentence := range sentences {
		for _, s := range sentence {
			pcm = append(pcm, float64(s))
		}
		pause()
	}
	return pcm[:len(pcm)/Step*Step]
}

// spoken takes for speech what is less than 40 dB softer than the mean, with
// gaps of up to 100 ms filled.
func spoken(clean []float64) []bool {
	limit := power(clean) / 1e4
	truth := make([]bool, len(clean)/Step)
	last := -100
	for i := range truth {
		if power(clean[i*Step:][:Step]) < limit {
			continue
		}
		if i-last <= 5 {
			for j := last + 1; j < i; j++ {
				truth[j] = true
			}
		}
		truth[i] = true
		last = i
	}
	return truth
}

// line is the sound as it comes out of a telephone line.
func line(clean []float64, gain float64, noise []float64, scale float64) []int16 {
	pcm := make([]int16, len(clean))
	for i, v := range clean {
		if noise != nil {
			v += scale * noise[i]
		}
		pcm[i] = Sample(v * gain)
	}
	return Through(pcm)
}

// Through is the sound after mu-law.
func Through(pcm []int16) []int16 {
	return audio.AppendDecode(nil, audio.MuLaw, audio.AppendEncode(nil, audio.MuLaw, pcm))
}

// Sample rounds v and limits it.
func Sample(v float64) int16 {
	return int16(math.Round(min(max(v, math.MinInt16), math.MaxInt16)))
}

func power(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum / float64(len(x))
}

func white(n int) []float64 {
	random := rand.New(rand.NewPCG(7, 8))
	x := make([]float64, n)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	return x
}

// pink noise falls by 3 dB an octave.
func pink(n int) []float64 {
	x := white(n)
	var a, b, c float64
	for i, w := range x {
		a = 0.99765*a + w*0.0990460
		b = 0.96300*b + w*0.2965164
		c = 0.57000*c + w*1.0526913
		x[i] = a + b + c + w*0.1848
	}
	return x
}

// car noise is rumble that falls by 12 dB an octave above 100 Hz, with the hum
// of an engine that changes speed.
func car(n int) []float64 {
	x := white(n)
	var a, b, phase float64
	for i, w := range x {
		a += 0.08 * (w - a)
		b += 0.08 * (a - b)
		t := float64(i) / 8000
		phase += 2 * math.Pi * (90 + 15*math.Sin(0.4*t)) / 8000
		x[i] = b + 0.04*math.Sin(phase) + 0.02*math.Sin(2*phase) + 0.01*math.Sin(3*phase)
	}
	return x
}

// babble is eight voices at once: the sentences at eight speeds.
func babble(sentences [][]int16, n int) []float64 {
	x := make([]float64, n)
	for voice := range 8 {
		var words []int16
		for i := range sentences {
			words = append(words, sentences[(i*3+voice)%len(sentences)]...)
		}
		speed, begin := 0.85+0.05*float64(voice), float64(voice)*7919
		for i := range x {
			at := float64(i)*speed + begin
			j := int(at)
			a, b := float64(words[j%len(words)]), float64(words[(j+1)%len(words)])
			x[i] += a + (at-float64(j))*(b-a)
		}
	}
	return x
}

// AtSpeed is a sentence spoken faster or slower, and so higher or lower.
func AtSpeed(sentence []int16, speed float64) []int16 {
	pcm := make([]int16, int(float64(len(sentence)-1)/speed))
	for i := range pcm {
		at := float64(i) * speed
		j := int(at)
		pcm[i] = int16(float64(sentence[j])*(1-at+float64(j)) + float64(sentence[j+1])*(at-float64(j)))
	}
	return pcm
}
