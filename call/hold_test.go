package call_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// On hold the caller hears music and not the agent, the agent does not hear the
// caller, and what was said meanwhile is heard afterwards.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var unheard, after *call.Speech
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			unheard = s.Speak(tone(440, time.Minute))
			time.Sleep(2 * time.Second)
			if err := s.Hold(tone(700, time.Minute)); err != nil {
				t.Error(err)
			}
			if err := s.Hold(nil); !errors.Is(err, telephony.ErrCallState) {
				t.Errorf("on hold twice: %v", err)
			}
			after = s.Speak(tone(1000, time.Second))
			if dropped := s.Clear(); dropped != 0 {
				t.Errorf("the agent cleared %v of the music", dropped)
			}
			after = s.Speak(tone(1000, time.Second))
			time.Sleep(20 * time.Second) // longer than the limit of silence
			if !s.Call().OnHold {
				t.Error("the record does not tell")
			}
			if err := s.Resume(); err != nil {
				t.Error(err)
			}
			if err := s.Resume(); !errors.Is(err, telephony.ErrCallState) {
				t.Errorf("resumed twice: %v", err)
			}
			_, err := after.Wait(ctx)
			return err
		}), func(c *call.Config) { c.Silence = 10 * time.Second })
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { talk = k; <-k.Done() }})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()
		heard := talk.Heard()
		audiotest.HasTone(t, heard[:2*8000], 8000, 440)
		audiotest.HasTone(t, heard[3*8000:21*8000], 8000, 700)
		audiotest.NoTone(t, heard[3*8000:21*8000], 8000, 440)
		audiotest.NoTone(t, heard[3*8000:21*8000], 8000, 1000)
		audiotest.HasTone(t, heard[22*8000:], 8000, 1000)
		if h, _ := unheard.Wait(t.Context()); h.Status != call.HeardCut || h.Duration > 2500*time.Millisecond {
			t.Errorf("what was said before was heard %v", h)
		}
		if h, _ := after.Wait(t.Context()); h.Status != call.HeardAll {
			t.Errorf("what was said meanwhile was heard %v", h)
		}
		if c.OnHold || c.Metrics.AgentTalk > 5*time.Second {
			t.Errorf("on hold %t, agent talked %v", c.OnHold, c.Metrics.AgentTalk)
		}
	})
}

// An agent with a Line is not blocked by hold, and hears nothing of the caller.
func TestHoldOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan string, 1)
		var heard atomic.Int64 // samples
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			begun <- s.Call().ID
			line := s.Line(8000)
			go func() {
				pcm := audiotest.Tone(450, 20*time.Millisecond, 8000)
				for {
					if _, err := line.WritePCM(pcm); err != nil {
						return
					}
				}
			}()
			buf := make([]int16, 160)
			for {
				n, err := line.ReadPCM(buf)
				if err == io.EOF {
					return nil
				}
				heard.Add(int64(n))
			}
		}), func(c *call.Config) {
			c.HoldSound = func(rate int) audio.Reader {
				return audio.Signal{Hertz: []float64{700}}.Reader(rate)
			}
		})
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		id := <-begun
		talk.Listen(2 * time.Second)
		if err := o.Hold(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		before := heard.Load()
		music := talk.Listen(10 * time.Second)[8000:]
		audiotest.NoTone(t, music, 8000, 450)
		audiotest.HasTone(t, music, 8000, 700)
		if meanwhile := heard.Load() - before; meanwhile > 800 {
			t.Errorf("the agent heard %d samples of a caller on hold", meanwhile)
		}
		if err := o.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		audiotest.HasTone(t, talk.Listen(2 * time.Second)[4000:], 8000, 450)
		talk.Hangup()
		if c := o.wait(id); c.Cause != call.HangupRemote {
			t.Errorf("call ended %q", c.Cause)
		}
		if err := o.Hold(t.Context(), id); !errors.Is(err, call.ErrEnded) {
			t.Errorf("hold of a call that is over: %v", err)
		}
	})
}
