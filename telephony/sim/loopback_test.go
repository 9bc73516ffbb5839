package sim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// The one test on real sockets and the real clock. It echoes what it hears, and
// is as patient as a busy machine asks for.
func TestCallOverLoopback(t *testing.T) {
	carrier := sim.New(sim.Config{})
	defer carrier.Close()
	a := &app{t: t, carrier: carrier}
	srv := httptest.NewServer(a)
	defer srv.Close()
	a.base = srv.URL
	a.answer = func(url.Values) string {
		return `<Response><Connect><Stream url="` + strings.Replace(srv.URL, "http", "ws", 1) + `/media"/></Connect></Response>`
	}
	a.media = func(s *socket) {
		for {
			m, ok := s.next()
			if !ok {
				return
			}
			if m.Event == "media" && s.WriteMessage(1, []byte(`{"event":"media","streamSid":"`+m.StreamSid+`","media":{"payload":"`+m.Media.Payload+`"}}`)) != nil {
				return
			}
		}
	}
	carrier.Assign(us, srv.URL+"/answer")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	talk, err := carrier.Phone(them).Call(ctx, us)
	if err != nil {
		t.Fatal(err)
	}
	words := ramp(1600)
	if err := talk.Say(audio.NewSamples(words, 8000)); err != nil {
		t.Fatal(err)
	}
	if err := talk.WaitSilence(100*time.Millisecond, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	talk.Hangup()
	// A late frame leaves a gap, but nothing is lost and nothing changes places.
	var heard []int16
	for _, p := range talk.Playback() {
		for _, s := range p.Samples {
			if s > 500 {
				heard = append(heard, s)
			}
		}
	}
	if i := index(heard, words); i != 0 || len(heard) != len(words) {
		t.Errorf("the echo of %d samples is %d samples, at %d", len(words), len(heard), i)
	}
	a.wg.Wait()
}

func TestInTheClear(t *testing.T) {
	network := memnet.New()
	defer network.Close()
	carrier := sim.New(sim.Config{Dial: network.DialContext, InTheClear: true})
	defer carrier.Close()
	done := make(chan bool, 2)
	l, err := network.Listen("app.test:443")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		signed := "https://app.test" + r.RequestURI
		if r.Header.Get("Upgrade") != "" {
			signed = "wss://app.test" + r.RequestURI
		}
		done <- r.Header.Get("X-Twilio-Signature") == signature(carrier.AuthToken(), signed, r.PostForm)
		w.Header().Set("Content-Type", "application/xml")
		w.Write([]byte(`<Response><Connect><Stream url="wss://app.test/media"/></Connect></Response>`))
	})}
	go srv.Serve(l)
	defer srv.Close()
	carrier.Assign(us, "https://app.test/answer?x=1")
	if _, err := carrier.Phone(them).Call(t.Context(), us); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"webhook", "socket"} {
		if !<-done {
			t.Errorf("%s: not signed with its public address", what)
		}
	}
}
