package openai

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

// reply is what the service answers: text alone, or all of it where
// verbose_json was asked for. Times are in seconds since the file began.
type reply struct {
	Text     *string `json:"text"`
	Words    []word  `json:"words"`
	Segments []part  `json:"segments"`
}

type word struct {
	Word  string  `json:"word"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

type part struct {
	Text         string   `json:"text"`
	Start        float64  `json:"start"`
	End          float64  `json:"end"`
	AvgLogprob   *float64 `json:"avg_logprob"`
	NoSpeechProb float64  `json:"no_speech_prob"`
}

// silent reports whether the recogniser itself believes that nothing was said:
// it is known to make words of silence. The limits are those at which the
// published Whisper takes a stretch for silent.
func (p *part) silent() bool {
	return p.NoSpeechProb > 0.6 && p.AvgLogprob != nil && *p.AvgLogprob < -1
}

// result is what was said in an utterance, on its clock.
type result struct {
	text       string
	words      []transcript.Word
	confidence float64 // 0 where the service tells none
}

var errReply = errors.New("reply is of no sense")

// decode reads the reply about an utterance of a length.
func decode(data []byte, length time.Duration) (result, error) {
	var r reply
	if err := json.Unmarshal(data, &r); err != nil || r.Text == nil {
		return result{}, errReply
	}
	res := result{text: line(*r.Text)}
	dropped := r.weigh(&res)
	for _, w := range r.Words {
		if !(w.Start >= 0 && w.End >= w.Start) || inside(dropped, (w.Start+w.End)/2) {
			continue
		}
		at := min(seconds(w.Start), length)
		if text := line(w.Word); text != "" {
			res.words = append(res.words, transcript.Word{Text: text, At: at, End: min(seconds(w.End), length), Confidence: res.confidence})
		}
	}
	return res, nil
}

// weigh takes out of the text what was not said, if anything, and finds how sure
// the recogniser is of the rest: the mean probability of its tokens.
func (r *reply) weigh(res *result) (dropped []part) {
	var texts []string
	var sum, weight float64
	for _, p := range r.Segments {
		if p.silent() {
			dropped = append(dropped, p)
			continue
		}
		texts = append(texts, line(p.Text))
		if p.AvgLogprob != nil {
			n := float64(len(p.Text))
			sum += n * math.Exp(min(*p.AvgLogprob, 0))
			weight += n
		}
	}
	if weight > 0 {
		res.confidence = sum / weight
	}
	if len(dropped) > 0 {
		res.text = line(strings.Join(texts, " "))
	}
	return dropped
}

func inside(parts []part, at float64) bool {
	for _, p := range parts {
		if at >= p.Start && at < p.End {
			return true
		}
	}
	return false
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

func seconds(s float64) time.Duration {
	return time.Duration(min(s, 24*3600)*1e6+0.5) * time.Microsecond
}

// complaint is what an error says, as it is documented; nothing if it is
// something else.
func complaint(data []byte) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &e) != nil {
		return ""
	}
	return e.Error.Message
}
