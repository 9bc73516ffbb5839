package sim_test

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestOutboundCallFromRingToHangup(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		words := ramp(8000)
		a.answer = func(url.Values) string { return stream }
		a.carrier.Phone(them).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(talk *sim.Talk) {
			if err := talk.Say(audio.NewSamples(words, 8000)); err != nil {
				t.Errorf("Say: %v", err)
			}
			if err := talk.Press("1w#"); err != nil {
				t.Errorf("Press: %v", err)
			}
			time.Sleep(4 * time.Second)
			talk.Hangup()
		}})
		var got *socket
		greeting := ramp(4000)
		a.media = func(s *socket) {
			got = s
			s.play(greeting[:2000])
			s.play(greeting[2000:])
			s.mark("greeting")
			sent := time.Now()
			m, _ := s.until(isMark("greeting"))
			if d := m.at.Sub(sent); d != 500*time.Millisecond {
				t.Errorf("the mark came back after %v; want 500ms", d)
			}
			s.mark("empty")
			sent = time.Now()
			if m, _ = s.until(isMark("empty")); m.at != sent {
				t.Errorf("a mark with nothing before it took %v", m.at.Sub(sent))
			}
			s.drain()
		}
		sid := a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		time.Sleep(2 * time.Second)
		settle()

		if want := "0:initiated@0 1:ringing@0 2:in-progress@3 3:completed@8"; a.statuses("/status") != want {
			t.Errorf("statuses: %s\nwant:     %s", a.statuses("/status"), want)
		}
		final := a.hook("/status")
		for name, want := range map[string]string{
			"CallSid": sid, "CallDuration": "6", "Duration": "1", "SipResponseCode": "200",
			"Direction": "outbound-api", "From": us, "Called": them, "CallbackSource": "call-progress-events",
		} {
			if final.Get(name) != want {
				t.Errorf("%s = %q; want %q", name, final.Get(name), want)
			}
		}
		if got.start.Start.CallSid != sid || got.start.Start.CustomParameters["ref"] != "c-<42>" {
			t.Errorf("start: %+v", got.start.Start)
		}
		heard := got.heard()
		if i := index(heard, words); i != 0 {
			t.Errorf("the words are at sample %d of what the application heard; want 0", i)
		}
		if n := len(got.media); n != 50*5500/1000 {
			t.Errorf("%d frames in 5.5 s", n)
		}
		keys := ""
		for _, m := range got.log {
			if m.Event == "dtmf" {
				keys += m.Dtmf.Digit
			}
		}
		if keys != "1#" {
			t.Errorf("keys %q; want 1#", keys)
		}
		if last := got.log[len(got.log)-1]; last.Event != "stop" || last.Stop.CallSid != sid {
			t.Errorf("last message is %+v; want stop", last)
		}
		if talk.HungUpBy() != sim.ByCallee || talk.Err() != nil {
			t.Errorf("ended by %q, %v", talk.HungUpBy(), talk.Err())
		}
		if !slices.Equal(talk.Heard()[:4000], greeting) || !allZero(talk.Heard()[4000:]) {
			t.Error("the phone did not hear the greeting, and silence after it")
		}
		if p := talk.Playback(); len(p) != 1 || p[0].At != 0 || p[0].End() != 500*time.Millisecond {
			t.Errorf("playback: %d stretches, %v", len(p), p[0].At)
		}
		checkCalls(t, a, telephony.StatusCompleted)
	})
}

// index is where needle begins in hay, -1 if it is not there.
func index(hay, needle []int16) int {
	for i := 0; i+len(needle) <= len(hay); i++ {
		if slices.Equal(hay[i:i+len(needle)], needle) {
			return i
		}
	}
	return -1
}

func allZero(pcm []int16) bool {
	return !slices.ContainsFunc(pcm, func(s int16) bool { return s != 0 })
}

// checkCalls checks how the calls ended that the carrier knows.
func checkCalls(t *testing.T, a *app, want ...telephony.Status) {
	t.Helper()
	var got []telephony.Status
	for _, c := range a.carrier.Calls() {
		got = append(got, c.Status)
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls ended %v; want %v", got, want)
	}
}
