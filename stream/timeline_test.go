package stream

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

func TestTimelinePlacesFrames(t *testing.T) {
	type frame struct {
		chunk int64
		stamp time.Duration
		at    time.Duration
		want  placing
	}
	// All frames are 160 samples at 8 kHz.
	tests := []struct {
		name   string
		frames []frame
		end    int64
	}{
		{"frames in order are contiguous", []frame{
			{1, 5 * ms, 0, placing{}}, {2, 25 * ms, 20 * ms, placing{}}, {3, 45 * ms, 40 * ms, placing{}},
		}, 480},
		{"stamps may jitter", []frame{
			{1, 5 * ms, 0, placing{}}, {2, 31 * ms, 20 * ms, placing{}}, {3, 42 * ms, 40 * ms, placing{}},
		}, 480},
		{"a stamp up to 60 ms late is no gap", []frame{
			{1, 0, 0, placing{}}, {2, 80 * ms, 80 * ms, placing{}},
		}, 320},
		{"a stamp later than that is", []frame{
			{1, 0, 0, placing{}}, {2, 81 * ms, 81 * ms, placing{fill: 488}},
		}, 808},
		{"a lost frame is filled to the sample", []frame{
			{1, 0, 0, placing{}}, {3, 43 * ms, 43 * ms, placing{fill: 160}},
		}, 480},
		{"a lost frame is filled by its stamp where numbers disagree", []frame{
			{1, 0, 0, placing{}}, {3, 100 * ms, 100 * ms, placing{fill: 640}},
		}, 960},
		{"numbers passed over without time are no gap", []frame{
			{1, 0, 0, placing{}}, {9, 20 * ms, 20 * ms, placing{}},
		}, 320},
		{"lost frames without stamps are counted by number", []frame{
			{1, -1, 0, placing{}}, {4, -1, 60 * ms, placing{fill: 320}},
		}, 640},
		{"a duplicate is dropped", []frame{
			{1, 0, 0, placing{}}, {2, 20 * ms, 20 * ms, placing{}}, {2, 20 * ms, 20 * ms, placing{verdict: duplicate}},
			{1, 0, 20 * ms, placing{verdict: duplicate}}, {3, 40 * ms, 40 * ms, placing{}},
		}, 480},
		{"what comes late is dropped, once as late and then as duplicate", []frame{
			{1, 0, 0, placing{}}, {3, 40 * ms, 40 * ms, placing{fill: 160}},
			{2, 20 * ms, 40 * ms, placing{verdict: late}}, {2, 20 * ms, 40 * ms, placing{verdict: duplicate}},
			{4, 60 * ms, 60 * ms, placing{}},
		}, 640},
		{"unnumbered frames with the same stamp are duplicates", []frame{
			{-1, 0, 0, placing{}}, {-1, 0, 0, placing{verdict: duplicate}}, {-1, 20 * ms, 20 * ms, placing{}},
		}, 320},
		{"numbers that begin anew are followed", []frame{
			{500, 0, 0, placing{}}, {1, 20 * ms, 20 * ms, placing{}}, {2, 40 * ms, 40 * ms, placing{}},
		}, 480},
		{"a gap beyond a minute is a jump", []frame{
			{1, 0, 0, placing{}}, {2, 90*time.Second + 20*ms, 91 * time.Second, placing{fill: 60 * 8000, jump: 30 * 8000}},
		}, 320 + 90*8000},
		{"a stamp far ahead of the wall is not followed", []frame{
			{1, 0, 0, placing{}}, {2, time.Hour, 20 * ms, placing{rebased: true}}, {3, time.Hour + 20*ms, 40 * ms, placing{}},
		}, 480},
		{"many frames lost at once are filled no further than the wall allows", []frame{
			{1, -1, 0, placing{}}, {1 << 50, -1, 0, placing{fill: 10*8000 - 160, rebased: true}},
		}, 10*8000 + 160},
		{"a stamp that goes back is not followed", []frame{
			{1, time.Second, 0, placing{}}, {2, 0, 20 * ms, placing{rebased: true}}, {3, 20 * ms, 40 * ms, placing{}},
			{5, 60 * ms, 80 * ms, placing{fill: 160}},
		}, 800},
		{"stamps since 1970 count from the first", []frame{
			{1, 1705312200000 * ms, 0, placing{}}, {2, 1705312200020 * ms, 20 * ms, placing{}},
			{4, 1705312200060 * ms, 60 * ms, placing{fill: 160}},
		}, 640},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line := newTimeline(8000)
			for i, f := range test.frames {
				got := line.place(arrival{chunk: f.chunk, sequence: -1, stamp: f.stamp, samples: 160, at: f.at})
				if got != f.want {
					t.Errorf("frame %d: %+v, want %+v", i, got, f.want)
				}
			}
			if line.pos != test.end {
				t.Errorf("ends at %d, want %d", line.pos, test.end)
			}
		})
	}
}

// A carrier's clock may run fast or slow. Of a fast one the media clock keeps
// within 20 ms; a slow one cannot be followed, since sound would have to be taken
// back, and must not disturb.
func TestTimelineFollowsACarriersClockForAnHour(t *testing.T) {
	tests := []struct {
		name  string
		step  time.Duration // of the timestamps, for 20 ms of sound
		exact bool
	}{
		{"20 ms a frame", 20 * ms, true},
		{"20.05 ms a frame, in whole milliseconds", 20050 * time.Microsecond, false},
		{"a clock 100 ppm fast", 20002 * time.Microsecond, false},
		{"a clock 100 ppm slow", 19998 * time.Microsecond, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line := newTimeline(8000)
			var most time.Duration
			var fill int64
			for i := range int64(180_000) {
				stamp := (time.Duration(i) * test.step).Truncate(ms)
				p := line.place(arrival{chunk: i + 1, sequence: -1, stamp: stamp, samples: 160, at: stamp})
				if p.verdict != accepted || p.jump != 0 || p.rebased || p.fill > 200 {
					t.Fatalf("frame %d: %+v", i, p)
				}
				fill += p.fill
				most = max(most, stamp-(line.now()-20*ms))
			}
			if most > 20*ms {
				t.Errorf("drifted by %v", most)
			}
			if test.exact && fill != 0 {
				t.Errorf("%d samples put in", fill)
			}
			t.Logf("at most %v behind, %d samples put in", most, fill)
		})
	}
}

func TestTimelineAccountsForEverySample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := newTimeline(8000)
		var jitter = rapid.IntRange(0, 7)
		var want int64 // what the carrier sent, lost or not
		stamp, chunk := time.Duration(rapid.IntRange(0, 1e6).Draw(t, "origin"))*ms, int64(1)
		first := true
		for range rapid.IntRange(1, 300).Draw(t, "frames") {
			lost := rapid.IntRange(0, 20).Draw(t, "fate") == 0 && !first
			if !lost {
				a := arrival{
					chunk: chunk, sequence: -1, samples: 160, at: stamp + time.Hour,
					stamp: stamp + time.Duration(jitter.Draw(t, "jitter"))*ms,
				}
				before := line.pos
				p := line.place(a)
				if p.verdict != accepted || p.rebased || p.jump != 0 {
					t.Fatalf("%+v: %+v", a, p)
				}
				if line.pos != before+p.fill+160 {
					t.Fatalf("position %d after %d and %+v", line.pos, before, p)
				}
				if again := line.place(a); again.verdict != duplicate {
					t.Fatalf("again: %+v", again)
				}
				first = false
				want += 160
				if line.pos != want {
					t.Fatalf("at %d, want %d", line.pos, want)
				}
			} else {
				want += 160
			}
			stamp += 20 * ms
			chunk++
		}
	})
}

func FuzzTimeline(f *testing.F) {
	f.Add(int64(1), int64(1), int64(0), uint16(160), int64(0), int64(2), int64(2), int64(20), uint16(160), int64(20))
	f.Add(int64(1), int64(-1), int64(-1), uint16(1), int64(9), int64(1)<<62, int64(1)<<62, int64(1)<<62, uint16(9), int64(1)<<40)
	f.Fuzz(func(t *testing.T, s1, c1, t1 int64, n1 uint16, a1, s2, c2, t2 int64, n2 uint16, a2 int64) {
		line := newTimeline(8000)
		var at time.Duration
		frames := []arrival{{c1, s1, time.Duration(t1), int(n1), time.Duration(a1)}, {c2, s2, time.Duration(t2), int(n2), time.Duration(a2)}}
		for range 3 {
			for _, a := range frames {
				at += time.Duration(uint64(a.at) % uint64(time.Hour))
				a.at = at
				before := line.pos
				p := line.place(a)
				switch {
				case p.fill < 0 || p.jump < 0 || p.fill > line.samples(maxFill):
					t.Fatalf("%+v: %+v", a, p)
				case p.verdict != accepted && (line.pos != before || p.fill != 0):
					t.Fatalf("%+v was dropped and moved the clock: %+v", a, p)
				case p.verdict == accepted && line.pos != before+p.jump+p.fill+int64(a.samples):
					t.Fatalf("%+v: %+v moved the clock from %d to %d", a, p, before, line.pos)
				}
				if ahead := line.now() - (at - line.origin) - maxAhead; p.fill > 0 && ahead > time.Duration(a.samples)*time.Second/8000+ms {
					t.Fatalf("%+v: %+v is %v ahead of the wall", a, p, ahead)
				}
			}
		}
	})
}

func TestMediaClockFollowsADriftingClock(t *testing.T) {
	clock := newMediaClock(0)
	// The far end's clock is 100 ppm slow and the network jitters by 30 ms.
	for i := range 180_000 {
		end := time.Duration(i+1) * 20 * ms
		now := end + end/10_000 + 40*ms + time.Duration(i*7%30)*ms
		clock.observe(now, end)
		// The least delay is taken for none. What was assumed at the start is
		// forgotten after 20 s.
		if got := clock.at(now - time.Duration(i*7%30)*ms); i > 1000 && (got-end > 3*ms || end-got > 3*ms) {
			t.Fatalf("frame %d: %v, want %v", i, got, end)
		}
	}
}
