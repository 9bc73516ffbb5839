package stream_test

import (
	"log"
	"net/http"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// loudness is told what comes in on a stream, and writes down how loud it was.
type loudness struct{ loudest int }

func (l *loudness) Start(s stream.Start) error { log.Print("stream of ", s.Format); return nil }
func (l *loudness) WriteFrame(f *audio.Frame) {
	if f.Track == audio.Inbound { // the frame is borrowed
		l.loudest = max(l.loudest, audio.Peak(f.PCM))
	}
}
func (l *loudness) Key(digit byte, at time.Duration) { log.Printf("key %c at %v", digit, at) }
func (l *loudness) Text([]byte)                      {}
func (l *loudness) Heard(int64, bool)                {}

// A microphone in a browser, without any call around it.
func ExampleGate() {
	var gate stream.Gate
	defer gate.Close()
	http.HandleFunc("/microphone", func(w http.ResponseWriter, r *http.Request) {
		conn, err := gate.Accept(w, r, stream.Upgrade{Protocol: stream.PCM{}})
		if err != nil {
			return // the reply has been written
		}
		var level loudness
		if err := conn.Run(r.Context(), &level); err != nil {
			log.Print(err)
		}
		log.Print("the loudest sample was ", level.loudest)
	})
}
