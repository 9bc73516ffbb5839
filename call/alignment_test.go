package call_test

import (
	"context"
	"flag"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// aWholeHour is flagged because it takes a processor for a minute.
var aWholeHour = flag.Bool("hour", false, "record calls of an hour on carriers whose clocks drift by 100 ppm")

// Both sides make a short sound every few seconds. On the recording the answer
// of one side to the other stands as far behind as it did for the person on the
// telephone, who has said the one and heard the other, whatever the network and
// the carrier's clock do.
func TestSidesOfARecordingStandTogether(t *testing.T) {
	tests := []alignment{
		{"on a good line", sim.Faults{}, time.Minute},
		{"in bursts", sim.Faults{Seed: 1, FrameHeld: 0.02}, time.Minute},
		{"over gaps of a second", sim.Faults{Seed: 1, FrameGap: 0.002}, time.Minute},
		{"after a stall of three seconds", sim.Faults{StallAfter: 30500 * time.Millisecond}, time.Minute},
		{"with frames that are doubled and swapped", sim.Faults{Seed: 1, FrameDoubled: 0.05, FrameSwapped: 0.05}, time.Minute},
		{"on a clock that gains as much in six minutes as 100 ppm do in an hour", sim.Faults{ClockDrift: 1000}, 6 * time.Minute},
		{"on a clock that loses that in ten", sim.Faults{ClockDrift: -600}, 10 * time.Minute},
	}
	if *aWholeHour {
		tests = []alignment{
			{"for an hour at 100 ppm", sim.Faults{ClockDrift: 100}, time.Hour},
			{"for an hour at -100 ppm", sim.Faults{ClockDrift: -100}, time.Hour},
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { synctest.Test(t, tt.run) })
	}
}

// An alignment is a call on which both sides make sounds.
type alignment struct {
	name   string
	faults sim.Faults
	length time.Duration
}

func (a *alignment) run(t *testing.T) {
	const every, sound, most = 4 * time.Second, 20 * time.Millisecond, 20 * time.Millisecond
	st := recording.NewMemory("memory")
	o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		time.Sleep(every / 2)
		for range int(a.length/every) - 1 {
			s.Speak(tone(880, sound))
			time.Sleep(every)
		}
		return nil
	}), func(c *call.Config) {
		c.Recorder = &recording.WAV{Storage: st}
		c.Interruption = call.Interruption{Mode: call.Never}
		c.MaxDuration = 2 * time.Hour
	}, a.faults)
	var said []time.Duration
	var talk *sim.Talk
	o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
		talk = k
		begun := time.Now()
		for next := time.Second; ; next += every {
			time.Sleep(next - time.Since(begun))
			at := time.Since(begun)
			if k.Say(tone(600, sound)) != nil {
				break
			}
			said = append(said, at)
		}
	}})
	c := o.wait(o.place(call.Options{Record: true}).ID)
	synctest.Wait()
	tracks := recordedTracks(t, st, c.Recording)
	caller, agent := audiotest.FindPulses(tracks[0], 8000), audiotest.FindPulses(tracks[1], 8000)
	heard := audiotest.FindPulses(talk.Heard(), 8000)
	n := int(a.length/every) - 1
	if len(heard) != n || len(agent) != n {
		t.Fatalf("%d sounds of the agent were heard, %d are on the recording", len(heard), len(agent))
	}
	var off []time.Duration // by which the agent stands too late behind the caller
	lost, gaps := 0, 0
	for i := range n {
		d := behind(agent[i], caller) - behind(heard[i], said)
		switch {
		case d > every/2 && a.faults.FrameSwapped > 0:
			lost++ // a packet that comes after its time has no place any more
			continue
		case d > every/8 && a.faults.FrameGap > 0:
			gaps++ // which the carrier says was between the two
			d -= time.Second
		}
		off = append(off, d)
	}
	t.Logf("%d pairs in %v: the agent is %v to %v too late behind the caller, %v at first, %v at last; %d lost, %d gaps between",
		n, a.length, slices.Min(off), slices.Max(off), off[0], off[len(off)-1], lost, gaps)
	if slices.Max(off) > most || slices.Min(off) < -most || lost > n/5 || gaps > o.Carrier.Fired()[sim.FaultFrameGap] {
		t.Errorf("the sides do not stand together: %v", off)
	}
}

// behind is how far a sound is behind the last of the others before it.
func behind(at time.Duration, others []time.Duration) time.Duration {
	i, _ := slices.BinarySearch(others, at)
	if i == 0 {
		return at
	}
	return at - others[i-1]
}

// What the caller has cut off was not heard, and is not on the recording.
func TestWhatWasCutOffIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := recording.NewMemory("memory")
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_, _ = s.Speak(tone(880, 20*time.Second)).Wait(ctx)
			time.Sleep(3 * time.Second)
			return nil
		}), func(c *call.Config) { c.Recorder = &recording.WAV{Storage: st} })
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
			talk = k
			time.Sleep(5 * time.Second)
			_ = k.Say(tone(300, 3*time.Second))
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{Record: true}).ID)
		synctest.Wait()
		length := func(pcm []int16) (n int) {
			for _, v := range pcm {
				if v != 0 {
					n++
				}
			}
			return n
		}
		tracks := recordedTracks(t, st, c.Recording)
		heard, kept := audio.Duration(length(talk.Heard()), 8000), audio.Duration(length(tracks[1]), 8000)
		t.Logf("of 20 s the caller has heard %v, and the recording has %v", heard, kept)
		if c.Metrics.Interruptions != 1 || heard > 6*time.Second || max(heard-kept, kept-heard) > 40*time.Millisecond {
			t.Errorf("%d interruptions; heard %v, recorded %v", c.Metrics.Interruptions, heard, kept)
		}
	})
}
