package sim

import (
	"slices"
	"testing"
	"time"
)

// pcm is n samples that tell where they are from.
func pcm(from, n int) []int16 {
	p := make([]int16, n)
	for i := range p {
		p[i] = int16(1000 + from + i)
	}
	return p
}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

func TestEar(t *testing.T) {
	zero := time.Unix(1000, 0)
	at := func(n float64) time.Time { return zero.Add(ms(n)) }
	type want struct {
		at    time.Duration
		first int16
		n     int
	}
	tests := []struct {
		name string
		do   func(e *ear)
		now  float64 // when it is asked, in ms
		want []want
		ends float64 // of what is queued
	}{
		{"what comes when nothing is queued begins at once", func(e *ear) {
			e.play(at(3.7), pcm(0, 80))
		}, 100, []want{{ms(3.7), 1000, 80}}, 13.7},
		{"what comes early follows what is queued", func(e *ear) {
			e.play(at(0), pcm(0, 80))
			e.play(at(9), pcm(80, 80))
		}, 100, []want{{0, 1000, 160}}, 20},
		{"what comes late leaves a gap", func(e *ear) {
			e.play(at(0), pcm(0, 80))
			e.play(at(12), pcm(80, 80))
		}, 100, []want{{0, 1000, 80}, {ms(12), 1080, 80}}, 22},
		{"a clear cuts off in the middle of a piece", func(e *ear) {
			e.play(at(0), pcm(0, 8000))
			e.play(at(0), pcm(0, 8000))
			e.clear(at(250))
		}, 5000, []want{{0, 1000, 2000}}, 250},
		{"a clear between two samples keeps those that were heard whole", func(e *ear) {
			e.play(at(0), pcm(0, 80))
			e.clear(at(5.1))
		}, 100, []want{{0, 1000, 40}}, 5.1},
		{"a clear with nothing queued changes nothing", func(e *ear) {
			e.play(at(0), pcm(0, 80))
			e.clear(at(50))
		}, 100, []want{{0, 1000, 80}}, 10},
		{"what comes after a clear begins at once", func(e *ear) {
			e.play(at(0), pcm(0, 8000))
			e.clear(at(100))
			e.play(at(100), pcm(5000, 80))
		}, 1000, []want{{0, 1000, 800 + 80}}, 110},
		{"what was not yet heard is not told", func(e *ear) {
			e.play(at(0), pcm(0, 8000))
		}, 500, []want{{0, 1000, 4000}}, 1000},
		{"the end of the call is the end of hearing", func(e *ear) {
			e.play(at(0), pcm(0, 8000))
			e.hangup(at(300))
			e.play(at(400), pcm(0, 8000))
		}, 5000, []want{{0, 1000, 2400}}, 300},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{limit: 1 << 30}
			e := newEar(s, zero)
			tt.do(e)
			got := e.playback(at(tt.now))
			if len(got) != len(tt.want) {
				t.Fatalf("%d stretches; want %d", len(got), len(tt.want))
			}
			for i, p := range got {
				w := tt.want[i]
				if p.At != w.at || len(p.Samples) != w.n || p.Samples[0] != w.first {
					t.Errorf("stretch %d: at %v, %d samples from %d; want %v", i, p.At, len(p.Samples), p.Samples[0], w)
				}
			}
			if q := e.queued(zero); q != ms(tt.ends) {
				t.Errorf("queued until %v; want %v", q, ms(tt.ends))
			}
			if s.held != e.kept {
				t.Errorf("the shelf counts %d samples; the ear has %d", s.held, e.kept)
			}
		})
	}
}

func TestHeardPlacesSoundOnTheClock(t *testing.T) {
	zero := time.Unix(1000, 0)
	e := newEar(&shelf{limit: 1 << 30}, zero)
	e.play(zero.Add(ms(10)), pcm(0, 80))
	e.play(zero.Add(ms(40)), pcm(80, 80))
	e.hangup(zero.Add(ms(60)))
	all := make([]int16, 480)
	copy(all[80:], pcm(0, 80))
	copy(all[320:], pcm(80, 80))
	if got := e.heard(zero.Add(time.Second), 0, time.Second); !slices.Equal(got, all) {
		t.Errorf("heard %d samples; want 60 ms with sound at 10 and 40 ms", len(got))
	}
	if got := e.heard(zero.Add(time.Second), ms(15), ms(45)); !slices.Equal(got, all[120:360]) {
		t.Error("a part is not the part of the whole")
	}
	if got := e.heard(zero.Add(time.Second), ms(80), ms(90)); got != nil {
		t.Errorf("%d samples from after the call", len(got))
	}
}

func TestMarksReturnWhenWhatIsBeforeThemWasHeard(t *testing.T) {
	zero := time.Unix(1000, 0)
	e := newEar(&shelf{limit: 1 << 30}, zero)
	e.mark(zero, "empty")
	e.play(zero, pcm(0, 800))
	e.mark(zero, "first")
	e.play(zero, pcm(0, 800))
	e.mark(zero, "second")
	steps := []struct {
		at   time.Duration
		want []string
	}{
		{0, []string{"empty"}},
		{ms(100) - 1, nil},
		{ms(100), []string{"first"}},
		{ms(199), nil},
		{ms(200), []string{"second"}},
	}
	for _, s := range steps {
		if got := names(e.due(zero.Add(s.at), nil)); !slices.Equal(got, s.want) {
			t.Errorf("after %v: %v; want %v", s.at, got, s.want)
		}
	}
	if _, ok, _ := e.next(); ok {
		t.Error("a mark is pending that nobody set")
	}
	for range maxMarks {
		if !e.mark(zero, "x") {
			t.Fatal("a mark was refused below the bound")
		}
	}
	if e.mark(zero, "x") {
		t.Error("a mark was taken beyond the bound")
	}
}

func TestShelfForgetsEndedCallsFirst(t *testing.T) {
	zero := time.Unix(1000, 0)
	s := &shelf{limit: 300}
	old, live := newEar(s, zero), newEar(s, zero)
	old.play(zero, pcm(0, 200))
	old.hangup(zero.Add(time.Second))
	old.hangup(zero.Add(time.Minute)) // counts once
	live.play(zero, pcm(0, 90))
	if len(old.playback(zero.Add(time.Second))) != 1 {
		t.Error("forgotten while there was room")
	}
	live.play(zero.Add(time.Second), pcm(0, 90))
	if len(old.playback(zero.Add(time.Second))) != 0 {
		t.Error("the ended call was not forgotten")
	}
	live.play(zero.Add(2*time.Second), pcm(0, 200))
	if p := live.playback(zero.Add(time.Minute)); len(p) != 2 || p[0].At != time.Second || s.held != 290 {
		t.Errorf("%d stretches and %d samples; want the oldest stretch forgotten", len(p), s.held)
	}
	if len(s.over) != 0 {
		t.Errorf("%d ended calls wait to be forgotten", len(s.over))
	}
}

func TestMouth(t *testing.T) {
	zero := time.Unix(1000, 0)
	at := func(n float64) time.Time { return zero.Add(ms(n)) }
	frame := make([]int16, 160)
	t.Run("what is said begins in the middle of a frame", func(t *testing.T) {
		var m mouth
		m.listen(zero)
		m.say(at(5), pcm(0, 160))
		if !m.take(zero, frame) || frame[39] != 0 || frame[40] != 1000 || frame[159] != 1119 {
			t.Errorf("first frame: %d %d %d", frame[39], frame[40], frame[159])
		}
		if !m.take(at(20), frame) || frame[0] != 1120 || frame[39] != 1159 || frame[40] != 0 {
			t.Errorf("second frame: %d %d %d", frame[0], frame[39], frame[40])
		}
		if m.take(at(40), frame) || frame[0] != 0 {
			t.Error("there is more than was said")
		}
	})
	t.Run("a listener that is late loses nothing", func(t *testing.T) {
		var m mouth
		m.listen(zero)
		m.say(zero, pcm(0, 160))
		m.take(at(60), frame)
		if frame[0] != 1000 || frame[159] != 1159 {
			t.Errorf("late frame: %d %d", frame[0], frame[159])
		}
	})
	t.Run("what is said before a frame that is already taken is not lost", func(t *testing.T) {
		var m mouth
		m.listen(zero)
		m.take(zero, frame)
		m.say(at(10), pcm(0, 160))
		m.take(at(20), frame)
		if frame[0] != 1000 {
			t.Errorf("frame begins with %d", frame[0])
		}
	})
	t.Run("what is said while nobody listens is lost", func(t *testing.T) {
		var m mouth
		m.say(zero, pcm(0, 160))
		m.say(at(20), pcm(160, 160))
		m.listen(at(25))
		m.take(at(25), frame)
		if frame[0] != 1200 || frame[119] != 1319 || frame[120] != 0 {
			t.Errorf("frame: %d %d %d", frame[0], frame[119], frame[120])
		}
	})
	t.Run("nobody waits for words that nobody takes", func(*testing.T) {
		var m mouth
		m.listen(zero)
		m.say(zero, pcm(0, 160))
		said := m.said()
		m.unlisten()
		<-said
		<-m.said()
	})
}

func names(marks []mark) []string {
	var list []string
	for _, m := range marks {
		list = append(list, m.name)
	}
	return list
}
