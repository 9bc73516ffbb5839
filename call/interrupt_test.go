package call

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

func TestInterrupter(t *testing.T) {
	type frame struct {
		until    time.Duration // 20 ms frames up to here
		speaking bool
		words    wordsVerdict // with the first of them
	}
	type act struct {
		At   time.Duration
		Verb verdict
	}
	tests := []struct {
		name   string
		policy Interruption
		frames []frame
		want   []act
	}{{
		name:   "speech that goes on pauses, then interrupts, once",
		frames: []frame{{until: 100 * ms}, {until: 2000 * ms, speaking: true}},
		want:   []act{{160 * ms, pause}, {560 * ms, interrupt}},
	}, {
		name:   "a cough pauses and resumes",
		frames: []frame{{until: 100 * ms}, {until: 300 * ms, speaking: true}, {until: 1000 * ms}},
		want:   []act{{160 * ms, pause}, {320 * ms, resume}},
	}, {
		name:   "a click does nothing",
		frames: []frame{{until: 100 * ms}, {until: 140 * ms, speaking: true}, {until: 1000 * ms}},
	}, {
		name:   "immediate",
		policy: Interruption{Mode: Immediate},
		frames: []frame{{until: 100 * ms}, {until: 1000 * ms, speaking: true}},
		want:   []act{{160 * ms, interrupt}},
	}, {
		name:   "never, whatever is said",
		policy: Interruption{Mode: Never},
		frames: []frame{{until: 100 * ms}, {until: 1000 * ms, speaking: true, words: wordsInterrupt}},
	}, {
		name:   "words confirm at once",
		frames: []frame{{until: 200 * ms, speaking: true}, {until: 1000 * ms, speaking: true, words: wordsInterrupt}},
		want:   []act{{60 * ms, pause}, {220 * ms, interrupt}},
	}, {
		name:   "a backchannel resumes, and the rest of it is let pass",
		frames: []frame{{until: 200 * ms, speaking: true}, {until: 1000 * ms, speaking: true, words: wordsDoNot}},
		want:   []act{{60 * ms, pause}, {220 * ms, resume}},
	}, {
		name:   "words that come late interrupt as well",
		frames: []frame{{until: 200 * ms, speaking: true}, {until: 600 * ms}, {until: 700 * ms, words: wordsInterrupt}},
		want:   []act{{60 * ms, pause}, {220 * ms, resume}, {620 * ms, interrupt}},
	}, {
		name:   "the caller may be made to speak longer",
		policy: Interruption{MinSpeech: 200 * ms, Confirm: 600 * ms},
		frames: []frame{{until: 2000 * ms, speaking: true}},
		want:   []act{{200 * ms, pause}, {800 * ms, interrupt}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newInterrupter(tt.policy)
			var got []act
			var now, since time.Duration
			for _, f := range tt.frames {
				if f.speaking && !i.speaking {
					since = now
				}
				words := f.words
				for now < f.until {
					now += 20 * ms
					if v := i.listen(hears{speaking: f.speaking, since: since, now: now, words: words, playing: true}); v != goOn {
						got = append(got, act{now, v})
					}
					words = noWords
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackchannel(t *testing.T) {
	for text, want := range map[string]bool{
		"Mm-hmm.": true, "uh-huh": true, "Okay, yeah": true, "OK": true,
		"": false, "no": false, "okay wait": false, "What is your address?": false,
	} {
		if got := Backchannel(text); got != want {
			t.Errorf("Backchannel(%q) = %v", text, got)
		}
	}
}
