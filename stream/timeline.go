package stream

import (
	"math"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	maxFrame   = 20 * time.Millisecond // what a Frame holds at most
	maxFill    = time.Minute           // silence for one gap; then the clock jumps
	minJump    = 60 * time.Millisecond // a later timestamp than this is a gap
	maxAhead   = 10 * time.Second      // how far a timestamp may claim to be ahead of the wall
	driftLimit = 15 * time.Millisecond // what timestamps may differ from the count of samples
	driftSpan  = 25                    // over how many frames
)

// A timeline puts the frames of one track on the media clock. It is told of
// each frame and answers what to do with it; it does nothing itself and knows
// the time only from what it is told.
//
// Samples are the clock, and the far end's numbers and timestamps correct it:
//
//   - a frame whose number was seen is a duplicate, and one whose number was
//     passed over is late: its place has been filled. Both are dropped. (Over a
//     TCP connection frames do not overtake each other, so waiting for one would
//     delay all for nothing.)
//   - numbers passed over, or a timestamp more than 60 ms later than the last
//     frame's end, are a gap, which is filled with silence.
//   - timestamps that drift ahead of the samples, by more than 15 ms over 25
//     frames, get a little silence put in. So the media clock follows the
//     carrier's within 20 ms, however long the call.
//   - timestamps that drift behind or make no sense are not followed, since
//     sound that was heard cannot be taken back: counting begins anew at them.
type timeline struct {
	rate    int
	pos     int64 // where the next sample goes
	started bool
	origin  time.Duration // when the first frame came

	number int64  // the highest seen; -1: none yet
	seen   uint64 // bit i: number-i was seen
	last   int    // samples of the last frame

	stamped bool
	stamp   time.Duration // of the last frame
	base    time.Duration // a timestamp …
	basePos int64         // … and the position it stands for
	lagLow  int64         // extremes of the lag of timestamps over samples
	lagHigh int64
	lags    int

	arrived time.Duration
	jitter  float64 // ns
}

// arrival is a frame as it came in.
type arrival struct {
	chunk, sequence int64         // -1: not numbered
	stamp           time.Duration // negative: none
	samples         int
	at              time.Duration // by our clock
}

type verdict uint8

const (
	accepted verdict = iota
	duplicate
	late
)

// placing is where a frame goes: after jump samples of nothing and fill samples
// of silence.
type placing struct {
	verdict verdict
	fill    int64
	jump    int64
	rebased bool // its timestamp was not followed
}

func newTimeline(rate int) timeline { return timeline{rate: rate, number: -1} }

// now is the media time at which the next sample goes.
func (t *timeline) now() time.Duration { return audio.Duration(int(t.pos), t.rate) }

func (t *timeline) samples(d time.Duration) int64 { return int64(audio.Samples(d, t.rate)) }

// place moves the clock behind the frame.
func (t *timeline) place(a arrival) placing {
	lost, v := t.count(a)
	if v != accepted {
		return placing{verdict: v}
	}
	if !t.started {
		t.started = true
		t.origin, t.arrived = a.at, a.at
		t.rebase(a.stamp)
		t.finish(a)
		return placing{}
	}
	t.measureJitter(a)

	p := placing{}
	lag, known := t.lag(a.stamp)
	if t.stamped && a.stamp >= 0 && !known {
		p.rebased = true
	}
	want := t.missing(lost, lag, known, a.stamp)
	if room := t.samples(a.at-t.origin+maxAhead) - t.pos; want > max(room, 0) {
		want = min(max(room, 0), lost*int64(t.last))
		p.rebased, known = true, false
	}
	p.fill = min(want, t.samples(maxFill))
	p.jump = want - p.fill
	t.pos += want
	if want > 0 {
		t.lags = 0
	}
	if !known {
		t.rebase(a.stamp)
	}
	t.finish(a)
	return p
}

// count looks at the number of a frame: how many before it are lost, or why it
// is not wanted. What is numbered only among all messages tells nothing of loss.
func (t *timeline) count(a arrival) (lost int64, v verdict) {
	number, numbered := a.chunk, true
	if number < 0 {
		number, numbered = a.sequence, false
	}
	if number < 0 {
		if t.stamped && a.stamp >= 0 && a.stamp == t.stamp {
			return 0, duplicate
		}
		return 0, accepted
	}
	ahead := number - t.number
	switch {
	case t.number < 0 || ahead <= -64:
		t.seen = 1 // the first, or the numbers start anew
	case ahead <= 0:
		bit := uint64(1) << -ahead
		if t.seen&bit != 0 {
			return 0, duplicate
		}
		t.seen |= bit
		return 0, late
	default:
		t.seen = t.seen<<uint64(ahead) | 1
		if numbered {
			lost = ahead - 1
		}
	}
	t.number = number
	// More than a day's frames would be nonsense, and overflow.
	return min(lost, 1<<22), accepted
}

// lag is how many samples are missing for the timestamp to be right; known if
// the timestamp can be believed.
func (t *timeline) lag(stamp time.Duration) (samples int64, known bool) {
	if !t.stamped || stamp < t.stamp || stamp-t.base > 1000*time.Hour {
		return 0, false
	}
	return t.basePos + t.samples(stamp-t.base) - t.pos, true
}

// missing is how many samples belong before this frame.
func (t *timeline) missing(lost, lag int64, known bool, stamp time.Duration) int64 {
	guess := lost * int64(t.last)
	switch {
	case !known:
		return guess
	case lost > 0:
		if off := lag - guess; max(off, -off) <= t.samples(maxFrame) {
			return guess
		}
		return max(lag, 0)
	case stamp-t.stamp > audio.Duration(t.last, t.rate)+minJump:
		return max(lag, 0)
	}
	return t.drift(lag, stamp)
}

// drift watches the lag. Only what lasts counts: a timestamp may jitter.
func (t *timeline) drift(lag int64, stamp time.Duration) int64 {
	if t.lags == 0 {
		t.lagLow, t.lagHigh = math.MaxInt64, math.MinInt64
	}
	t.lagLow, t.lagHigh = min(t.lagLow, lag), max(t.lagHigh, lag)
	if t.lags++; t.lags < driftSpan {
		return 0
	}
	t.lags = 0
	limit := t.samples(driftLimit)
	if t.lagHigh < -limit {
		t.rebase(stamp)
	}
	if t.lagLow > limit {
		return t.lagLow
	}
	return 0
}

// rebase makes stamp stand for the current position.
func (t *timeline) rebase(stamp time.Duration) {
	if stamp < 0 {
		return
	}
	t.stamped = true
	t.base, t.basePos = stamp, t.pos
	t.lags = 0
}

func (t *timeline) finish(a arrival) {
	if a.stamp >= 0 {
		t.stamp = a.stamp
	}
	t.arrived = a.at
	t.last = a.samples
	t.pos += int64(a.samples)
}

// measureJitter follows RFC 3550, section 6.4.1.
func (t *timeline) measureJitter(a arrival) {
	sent := audio.Duration(t.last, t.rate)
	if t.stamped && a.stamp >= t.stamp {
		sent = a.stamp - t.stamp
	}
	d := math.Abs(float64(a.at - t.arrived - sent))
	t.jitter += (d - t.jitter) / 16
}

// A mediaClock says what media time it was at a moment of our clock. The frame
// that came with the least delay in the last 10 to 20 seconds knows best; older
// ones are forgotten, because the clocks drift.
type mediaClock struct {
	turn       time.Duration // when the younger span began
	young, old time.Duration // least of arrival minus media time
}

const clockSpan = 10 * time.Second

func newMediaClock(start time.Duration) mediaClock {
	return mediaClock{turn: start, young: start, old: start}
}

// observe notes that audio which ended at media time end came in at now.
func (m *mediaClock) observe(now, end time.Duration) {
	delay := now - end
	if now-m.turn >= clockSpan {
		m.turn, m.old, m.young = now, m.young, delay
		return
	}
	m.young = min(m.young, delay)
}

// at is the media time at now.
func (m *mediaClock) at(now time.Duration) time.Duration {
	return max(0, now-min(m.young, m.old))
}
