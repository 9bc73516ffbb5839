package micro

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
	"github.com/valyala/fastjson"
	"github.com/zaf/g711"
)

const streamID = "MZ18ad3ab5a668481ce02b83e7395059f0"

func mediaMessage(wire []byte) []byte {
	return fmt.Appendf(nil, `{"event":"media","sequenceNumber":"1504","media":{"track":"inbound","chunk":"1503",`+
		`"timestamp":"30040","payload":"%s"},"streamSid":"%s"}`, base64.StdEncoding.EncodeToString(wire), streamID)
}

// inCases are ways from a message to samples, ours first.
func inCases() []measure.Case {
	_, _, wire := voice()
	message := mediaMessage(wire)
	data, pcm := make([]byte, len(message)), make([]int16, frame)
	var provider twilio.Provider
	var m stream.Message
	var parser fastjson.Parser
	payload := make([]byte, 256)
	return []measure.Case{
		{Name: "twilio.Decode", Do: func() {
			copy(data, message) // it decodes in place, in what was just read
			m.Reset()
			if provider.Decode(&m, data, false) != nil || audio.Decode(pcm, audio.MuLaw, m.Payload) != frame {
				panic("micro: a good message is refused")
			}
		}},
		{Name: "encoding/json", Do: func() {
			var m struct {
				Event          string `json:"event"`
				SequenceNumber string `json:"sequenceNumber"`
				StreamSid      string `json:"streamSid"`
				Media          struct {
					Track     string `json:"track"`
					Chunk     string `json:"chunk"`
					Timestamp string `json:"timestamp"`
					Payload   string `json:"payload"`
				} `json:"media"`
			}
			if json.Unmarshal(message, &m) != nil {
				panic("micro: a good message is refused")
			}
			payload, err := base64.StdEncoding.DecodeString(m.Media.Payload)
			if err != nil {
				panic(err)
			}
			g711.DecodeUlaw(payload)
		}},
		{Name: "fastjson", Do: func() {
			v, err := parser.ParseBytes(message)
			if err != nil || string(v.GetStringBytes("event")) != "media" {
				panic("micro: a good message is refused")
			}
			media := v.Get("media")
			for _, field := range [...]string{"chunk", "timestamp"} {
				if _, err := strconv.Atoi(string(media.GetStringBytes(field))); err != nil {
					panic(err)
				}
			}
			n, err := base64.StdEncoding.Decode(payload, media.GetStringBytes("payload"))
			if err != nil || audio.Decode(pcm, audio.MuLaw, payload[:n]) != frame {
				panic("micro: a good message is refused")
			}
		}},
	}
}

// outCases are ways from samples to a message, ours first.
func outCases() []measure.Case {
	pcm, linear, _ := voice()
	var provider twilio.Provider
	wire, message := make([]byte, frame), make([]byte, 0, 512)
	type media struct {
		Payload string `json:"payload"`
	}
	type reply struct {
		Event     string `json:"event"`
		StreamSid string `json:"streamSid"`
		Media     media  `json:"media"`
	}
	return []measure.Case{
		{Name: "twilio.AppendMedia", Do: func() {
			audio.Encode(wire, audio.MuLaw, pcm)
			message = provider.AppendMedia(message[:0], streamID, audio.Telephone, wire)
		}},
		{Name: "encoding/json", Do: func() {
			payload := base64.StdEncoding.EncodeToString(g711.EncodeUlaw(linear))
			if _, err := json.Marshal(reply{"media", streamID, media{payload}}); err != nil {
				panic(err)
			}
		}},
	}
}

// Messages compares the messages of a media stream with the usual packages, and
// with a fast one.
func Messages(s measure.Settings) []report.Goal {
	in, out := measure.Compare(s, inCases()...), measure.Compare(s, outCases()...)
	goal := func(number int, what, peer string, ours, theirs measure.Result, want float64) report.Goal {
		return report.Goal{
			Number: number, What: what + " against " + peer, Section: "codec",
			Want: fmt.Sprintf("≥ %.1f ×, 0 allocations", want),
			Ours: fmt.Sprintf("%v, %s", ours.Median, allocs(ours)), Peer: fmt.Sprintf("%v, %s", theirs.Median, allocs(theirs)),
			Ratio: times(theirs.RatioToFirst),
			Met:   report.Reached(theirs.RatioToFirst >= want && ours.Allocs < 0.001),
		}
	}
	const usual = "encoding/json, base64 and zaf/g711"
	return []report.Goal{
		goal(2, "message to samples", usual, in[0], in[1], 15),
		goal(2, "samples to message", usual, out[0], out[1], 8),
		goal(3, "message to samples", "fastjson, reused", in[0], in[2], 1.7),
	}
}
