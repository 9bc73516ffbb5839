package stream

import (
	"bytes"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"pgregory.net/rapid"
)

func newTestLedger(clearsAcks bool) *ledger {
	return &ledger{
		format: audio.Telephone, packet: 160, acks: true, clearsAcks: clearsAcks,
		limit: 8000, grace: 2 * time.Second, cutAt: -1, stats: &Stats{},
	}
}

// sendAll sends what may be sent at now, without delay.
func sendAll(l *ledger, now, lead time.Duration) (audioSent []byte, marks []uint32) {
	for {
		m, n, _ := l.sendable(now, lead)
		switch {
		case m != nil:
			marks = append(marks, l.stamp(m, now))
		case n > 0:
			p, _ := l.payload(n, nil)
			audioSent = append(audioSent, p...)
			l.commit(n, l.wire, now)
		default:
			return audioSent, marks
		}
	}
}

func TestAcknowledgementsInAnyOrder(t *testing.T) {
	const lead = 10 * time.Second // all is sent at once
	said := func(l *ledger) (got []mark) {
		for {
			pos, confirmed, ok := l.told()
			if !ok {
				return got
			}
			got = append(got, mark{pos: pos, confirmed: confirmed})
		}
	}
	tests := []struct {
		name       string
		clearsAcks bool
		do         func(l *ledger)
		want       []mark
		stats      Stats // the counts of marks
	}{
		{"each in turn", false, func(l *ledger) {
			l.ack(1, 100*ms)
			l.ack(2, 200*ms)
		}, []mark{{pos: 800, confirmed: true}, {pos: 1600, confirmed: true}}, Stats{MarksAcked: 2}},
		{"the second proves the first, which then is late", false, func(l *ledger) {
			l.ack(2, 200*ms)
			l.ack(1, 200*ms)
		}, []mark{{pos: 800, confirmed: true}, {pos: 1600, confirmed: true}}, Stats{MarksAcked: 1, MarksLate: 1}},
		{"doubled", false, func(l *ledger) {
			l.ack(1, 100*ms)
			l.ack(1, 100*ms)
		}, []mark{{pos: 800, confirmed: true}}, Stats{MarksAcked: 1, MarksLate: 1}},
		{"never sent", false, func(l *ledger) {
			l.ack(0, 0)
			l.ack(3, 0)
		}, nil, Stats{MarksUnknown: 2}},
		{"given up by the clock, then late", false, func(l *ledger) {
			l.overdue(2099 * ms)
			l.overdue(2100 * ms)
			l.ack(1, 2200*ms)
		}, []mark{{pos: 800}}, Stats{MarksGivenUp: 1, MarksLate: 1}},
		{"returned by a clear", true, func(l *ledger) {
			l.clear(50 * ms)
			l.ack(1, 60*ms)
			l.ack(2, 60*ms)
		}, nil, Stats{MarksCleared: 2}},
		{"played and returned by a clear proves nothing", true, func(l *ledger) {
			l.clear(150 * ms)
			l.ack(1, 160*ms)
		}, []mark{{pos: 800}}, Stats{MarksCleared: 1}},
		{"played before a clear that drops marks is proved", false, func(l *ledger) {
			l.clear(150 * ms)
			l.ack(1, 160*ms)
		}, []mark{{pos: 800, confirmed: true}}, Stats{MarksAcked: 1}},
		{"numbers from before a pause prove nothing after it", false, func(l *ledger) {
			l.pause(50 * ms)
			l.ack(1, 60*ms)
			l.paused = false
			sendAll(l, 70*ms, lead)
			l.ack(2, 80*ms)
			l.ack(3, 170*ms)
		}, []mark{{pos: 800, confirmed: true}}, Stats{MarksAcked: 1, MarksCleared: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newTestLedger(test.clearsAcks)
			l.write(make([]int16, 800), 0)
			l.mark(0)
			l.write(make([]int16, 800), 0)
			l.mark(0)
			if _, marks := sendAll(l, 0, lead); len(marks) != 2 {
				t.Fatalf("sent %v", marks)
			}
			test.do(l)
			got := said(l)
			if len(got) != len(test.want) {
				t.Fatalf("told %+v, want %+v", got, test.want)
			}
			for i, m := range got {
				if m.pos != test.want[i].pos || m.confirmed != test.want[i].confirmed {
					t.Errorf("told %+v, want %+v", m, test.want[i])
				}
			}
			s := *l.stats
			s = Stats{MarksAcked: s.MarksAcked, MarksLate: s.MarksLate, MarksUnknown: s.MarksUnknown, MarksCleared: s.MarksCleared, MarksGivenUp: s.MarksGivenUp}
			if s != test.stats {
				t.Errorf("counted %+v, want %+v", s, test.stats)
			}
		})
	}
}

func TestDelayOfAcknowledgementsIsTheirMean(t *testing.T) {
	l := newTestLedger(false)
	for range 3 {
		l.write(make([]int16, 800), 0)
		l.mark(0)
	}
	sendAll(l, 0, time.Second)
	for i, step := range []struct{ at, mean time.Duration }{
		{130 * ms, 30 * ms}, {260 * ms, 45 * ms},
		{290 * ms, 30 * ms}, // before the clock says that it was played: no delay
		{350 * ms, 30 * ms}, // again, which counts for nothing
	} {
		l.ack(uint32(min(i+1, 3)), step.at)
		if got := l.stats.AckDelay; got != step.mean {
			t.Errorf("acknowledgement %d: %v, want %v", i+1, got, step.mean)
		}
	}
}

func TestAnEarlyAcknowledgementMovesTheClock(t *testing.T) {
	l := newTestLedger(false)
	l.write(make([]int16, 1600), 0)
	l.mark(0)
	sendAll(l, 0, time.Second)
	l.ack(1, 50*ms)
	if p := l.position(50 * ms); p.Heard != 1600 || p.Confirmed != 1600 {
		t.Errorf("%+v", p)
	}
	l.write(make([]int16, 160), 60*ms)
	if sent, _ := sendAll(l, 60*ms, 20*ms); len(sent) != 160 {
		t.Error("there is room, and nothing was sent")
	}
}

func TestPositionsAcrossClears(t *testing.T) {
	l := newTestLedger(false)
	l.write(make([]int16, 1600), 0)
	sendAll(l, 0, 100*ms)
	if p := l.clear(30 * ms); p != (Position{Written: 1600, Sent: 800, Heard: 240}) {
		t.Errorf("at the clear %+v", p)
	}
	if p := l.clear(time.Second); p != (Position{Written: 1600, Sent: 1600, Heard: 240}) {
		t.Errorf("at a second clear %+v", p)
	}
	l.write(make([]int16, 160), time.Second)
	sendAll(l, time.Second, 100*ms)
	if p := l.position(1010 * ms); p != (Position{Written: 1760, Sent: 1760, Heard: 1680}) {
		t.Errorf("after it %+v", p)
	}
}

func TestMarksAreBounded(t *testing.T) {
	l := newTestLedger(false)
	var last int64
	for range 2 * maxMarks {
		l.write(make([]int16, 1), 0)
		last = l.mark(0)
	}
	if len(l.marks) != maxMarks || l.marks[maxMarks-1].pos != last {
		t.Errorf("%d marks, the last at %d, want %d at %d", len(l.marks), l.marks[len(l.marks)-1].pos, maxMarks, last)
	}
}

// Whatever is done to it, a ledger hands on exactly what was played, in order,
// and never says that more was heard than the far end has played.
func TestLedgerAgainstAModelOfTheEar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newTestLedger(rapid.Bool().Draw(t, "clears return marks"))
		lead := time.Duration(rapid.IntRange(20, 300).Draw(t, "lead")) * ms
		var now, end time.Duration
		type piece struct {
			b  []byte
			at time.Duration
		}
		var ear []piece
		heard := func() (all []byte) {
			for _, p := range ear {
				n := audio.Samples(max(0, now-p.at), 8000)
				all = append(all, p.b[:min(n, len(p.b))]...)
			}
			return all
		}
		cut := func() {
			for i := range ear {
				n := audio.Samples(max(0, now-ear[i].at), 8000)
				ear[i].b = ear[i].b[:min(n, len(ear[i].b))]
			}
			end = min(end, now)
		}
		var tapped []byte
		spoken := 0
		var last Position
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2:
				_, pcm := speech(spoken, rapid.IntRange(1, 3000).Draw(t, "samples"))
				spoken += l.write(pcm, now)
			case 3:
				l.mark(now)
			case 4:
				if p := l.clear(now); p.Heard < last.Heard || p.Written < last.Written {
					t.Fatalf("%+v after %+v", p, last)
				}
				cut()
			case 5:
				l.pause(now)
				cut()
			case 6:
				l.paused = false
			default:
				now += time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * ms
			}
			l.overdue(now)
			sent, _ := sendAll(l, now, lead)
			if len(sent) > 0 {
				at := max(now, end)
				ear = append(ear, piece{sent, at})
				end = at + audio.Duration(len(sent), 8000)
			}
			if end-now > max(lead, 20*ms) {
				t.Fatalf("%v unplayed, lead %v", end-now, lead)
			}
			last = l.position(now)
			if last.Heard > last.Sent || last.Sent > last.Written {
				t.Fatalf("%+v", last)
			}
			if rapid.Bool().Draw(t, "tap") {
				for {
					b, _, _ := l.tap(now, 160, nil)
					if b == nil {
						break
					}
					tapped = append(tapped, b...)
				}
				if !bytes.Equal(tapped, heard()) {
					t.Fatalf("handed on %d samples, played were %d, or others", len(tapped), len(heard()))
				}
			}
			if held := len(l.ring.buf); held > maxAudio {
				t.Fatalf("%d bytes held", held)
			}
		}
	})
}

func TestWhatIsBeingSentWhenItIsTakenBackDoesNotCount(t *testing.T) {
	tests := []struct {
		name     string
		takeBack func(l *ledger) Position
		want     Position
	}{
		{"by a clear", func(l *ledger) Position { return l.clear(10 * ms) }, Position{Written: 480, Sent: 480, Heard: 80}},
		{"by a pause", func(l *ledger) Position { return l.pause(10 * ms) }, Position{Written: 480, Sent: 80, Heard: 80}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newTestLedger(false)
			l.write(make([]int16, 480), 0)
			l.payload(160, nil)
			l.commit(160, l.wire, 0)
			wire := l.wire
			l.payload(160, nil) // taken from the ring, on its way to the socket
			test.takeBack(l)
			l.commit(160, wire, 11*ms)
			if p := l.position(time.Second); p != test.want {
				t.Errorf("%+v, want %+v", p, test.want)
			}
			if !l.clearIt {
				t.Error("the far end is not cleared of it")
			}
		})
	}
}

// What was to be heard next fades away; nothing else is heard of it.
func TestFade(t *testing.T) {
	l := newTestLedger(true)
	loud := make([]int16, 1600)
	for i := range loud {
		loud[i] = 8000
	}
	l.write(loud, 0)
	sendAll(l, 0, 100*ms)
	p := l.fade(400, 50*ms)
	if p.Heard != 400 || p.Written != 1600 {
		t.Fatalf("at the fade: %+v", p)
	}
	sent, _ := sendAll(l, 51*ms, time.Second)
	more, _ := sendAll(l, 120*ms, time.Second) // the rest, which is not a whole packet
	pcm := audio.AppendDecode(nil, audio.MuLaw, append(sent, more...))
	if len(pcm) != 400 {
		t.Fatalf("%d samples fade away, want 400", len(pcm))
	}
	for i := 1; i < len(pcm); i++ {
		if pcm[i] > pcm[i-1] {
			t.Fatalf("it is louder again at %d: %d after %d", i, pcm[i], pcm[i-1])
		}
	}
	if pcm[0] < 7500 || pcm[399] > 50 {
		t.Errorf("it fades from %d to %d", pcm[0], pcm[399])
	}
	if end := l.position(time.Second); end.Heard != 2000 || end.Written != 2000 {
		t.Errorf("at the end: %+v", end)
	}
	// Less is left than would fade, or nothing.
	l.write(loud[:100], time.Second)
	l.fade(400, time.Second)
	if l.written-l.heard != 100 {
		t.Errorf("%d samples fade away, want 100", l.written-l.heard)
	}
	l.clear(time.Second)
	l.fade(400, time.Second)
	if l.written != l.heard {
		t.Errorf("%d samples fade away, want none", l.written-l.heard)
	}
}
