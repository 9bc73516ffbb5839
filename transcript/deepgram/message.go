package deepgram

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

// The types of messages that mean something here.
const (
	typeResults      = "Results"
	typeUtteranceEnd = "UtteranceEnd"
	typeMetadata     = "Metadata"
	typeError        = "Error"
)

// message is what the service says. Times are in seconds since the stream began.
type message struct {
	Type        string  `json:"type"`
	Start       float64 `json:"start"`
	Duration    float64 `json:"duration"`
	IsFinal     bool    `json:"is_final"`
	SpeechFinal bool    `json:"speech_final"`
	// ChannelIndex, in Results, and Channel, in UtteranceEnd, are the number of a
	// channel and how many there are. Channel of Results is what was heard.
	ChannelIndex []int           `json:"channel_index"`
	Channel      json.RawMessage `json:"channel"`
	Description  string          `json:"description"`

	track audio.Track
	best  alternative
}

type channel struct {
	Alternatives []alternative `json:"alternatives"`
}

type alternative struct {
	Transcript string  `json:"transcript"`
	Confidence float64 `json:"confidence"`
	Words      []word  `json:"words"`
}

type word struct {
	Word       string  `json:"word"`
	Punctuated string  `json:"punctuated_word"`
	Start      float64 `json:"start"`
	End        float64 `json:"end"`
	Confidence float64 `json:"confidence"`
}

var errMessage = errors.New("message is of no sense")

// errClosed is the status with which the service closed a stream.
type errClosed int

func (e errClosed) Error() string { return fmt.Sprintf("closed with status %d", int(e)) }

// decode reads a message. Types that are not known are none of ours, and no
// error.
func decode(data []byte) (m message, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, errMessage
	}
	var index []int
	switch m.Type {
	case "":
		return m, errMessage
	case typeResults:
		index = m.ChannelIndex
		var c channel
		if json.Unmarshal(m.Channel, &c) != nil || !stretch(m.Start, m.Start+m.Duration) {
			return m, errMessage
		}
		if len(c.Alternatives) > 0 {
			m.best = c.Alternatives[0] // they are in order of confidence
		}
		for _, w := range m.best.Words {
			if !stretch(w.Start, w.End) {
				return m, errMessage
			}
		}
	case typeUtteranceEnd:
		if len(m.Channel) > 0 && json.Unmarshal(m.Channel, &index) != nil {
			return m, errMessage
		}
	}
	if len(index) > 0 {
		if index[0] < 0 || index[0] > 1 {
			return m, errMessage
		}
		m.track = audio.Track(index[0])
	}
	return m, nil
}

// stretch reports whether two times can be the beginning and the end of
// something. No call lasts for a week.
func stretch(start, end float64) bool { return start >= 0 && end >= start && end < 7*24*3600 }

// result is what the message tells of the call.
func (m *message) result() live.Result {
	if m.Type == typeUtteranceEnd {
		return live.Result{Track: m.track, Ends: true}
	}
	r := live.Result{
		Track: m.track, Start: seconds(m.Start), End: seconds(m.Start + m.Duration),
		Text: m.best.Transcript, Confidence: m.best.Confidence,
		Final: m.IsFinal, Ends: m.IsFinal && m.SpeechFinal,
	}
	for _, w := range m.best.Words {
		text := w.Punctuated
		if text == "" {
			text = w.Word
		}
		r.Words = append(r.Words, transcript.Word{Text: text, At: seconds(w.Start), End: seconds(w.End), Confidence: w.Confidence})
	}
	return r
}

// seconds rounds to a whole microsecond, since what is added in binary is not
// what was meant.
func seconds(s float64) time.Duration {
	return time.Duration(s*1e6+0.5) * time.Microsecond
}
