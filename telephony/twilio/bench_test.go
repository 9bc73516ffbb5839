package twilio

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/zaf/g711"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/jsonscan/jsontest"
	"github.com/switchboard-voice/switchboard/stream"
)

// The same deed with the usual packages stands beside ours, so that a run shows
// the ratio.

func BenchmarkMessageToPCM(b *testing.B) {
	text := capturedMessages(b)["media_inbound"]
	b.Run("ours", func(b *testing.B) {
		p := new(Provider)
		var m stream.Message
		data := make([]byte, len(text))
		var pcm [160]int16
		b.ReportAllocs()
		for b.Loop() {
			copy(data, text)
			m.Reset()
			if err := p.Decode(&m, data, false); err != nil {
				b.Fatal(err)
			}
			audio.Decode(pcm[:], audio.MuLaw, m.Payload)
		}
	})
	b.Run("ours in any order", func(b *testing.B) {
		do := decoding(new(Provider), new(stream.Message), jsontest.Reverse(b, text))
		b.ReportAllocs()
		for b.Loop() {
			do()
		}
	})
	b.Run("usual", func(b *testing.B) {
		data := []byte(text)
		b.ReportAllocs()
		for b.Loop() {
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
			if err := json.Unmarshal(data, &m); err != nil {
				b.Fatal(err)
			}
			payload, err := base64.StdEncoding.DecodeString(m.Media.Payload)
			if err != nil {
				b.Fatal(err)
			}
			g711.DecodeUlaw(payload)
		}
	})
}

func BenchmarkPCMToMessage(b *testing.B) {
	var pcm [160]int16
	linear := make([]byte, 320)
	for i := range pcm {
		pcm[i] = int16(i * 200)
		linear[2*i], linear[2*i+1] = byte(pcm[i]), byte(pcm[i]>>8)
	}
	b.Run("ours", func(b *testing.B) {
		p := new(Provider)
		var payload [160]byte
		buffer := make([]byte, 0, 1024)
		b.ReportAllocs()
		for b.Loop() {
			audio.Encode(payload[:], audio.MuLaw, pcm[:])
			buffer = p.AppendMedia(buffer[:0], testStream, audio.Telephone, payload[:])
		}
	})
	b.Run("usual", func(b *testing.B) {
		type media struct {
			Payload string `json:"payload"`
		}
		b.ReportAllocs()
		for b.Loop() {
			_, err := json.Marshal(struct {
				Event     string `json:"event"`
				StreamSid string `json:"streamSid"`
				Media     media  `json:"media"`
			}{"media", testStream, media{base64.StdEncoding.EncodeToString(g711.EncodeUlaw(linear))}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
