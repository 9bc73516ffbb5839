package sim

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// Bounds of what is kept of recordings.
const (
	maxRecordings  = 10_000           // that are over, oldest forgotten first
	processingTime = time.Second      // from the end of a recording to its file
	maxCallTapes   = 100              // recordings of one call
	maxRecordTime  = 24 * time.Hour   // of one
	plivoTapeLimit = 60 * time.Second // what Plivo's API takes for granted
)

// A tape keeps what a person says while it runs, with its times.
type tape struct {
	said []spoken
}

type spoken struct {
	at  time.Time
	pcm []int16
}

// add appends what is said from at on. The samples are copied.
func (t *tape) add(at time.Time, pcm []int16) {
	if n := len(t.said); n > 0 {
		last := &t.said[n-1]
		if last.at.Add(length(len(last.pcm))).Equal(at) {
			last.pcm = append(last.pcm, pcm...)
			return
		}
	}
	t.said = append(t.said, spoken{at, slices.Clone(pcm)})
}

// copyTo puts what was said from a moment on into dst.
func (t *tape) copyTo(dst []int16, from time.Time) {
	for _, s := range t.said {
		first := nearest(s.at.Sub(from))
		switch {
		case first >= len(dst):
			return
		case first >= 0:
			copy(dst[first:], s.pcm)
		case -first < len(s.pcm):
			copy(dst, s.pcm[-first:])
		}
	}
}

// tapes are those that run.
type tapes []*tape

func (ts tapes) add(at time.Time, pcm []int16) {
	for _, t := range ts {
		t.add(at, pcm)
	}
}

// record runs t, from now on.
func (m *mouth) record(now time.Time, t *tape) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.taken {
		m.skip(now)
	}
	m.tapes = append(m.tapes, t)
}

// unrecord stops t. What is pending and was said before now is on it, too.
func (m *mouth) unrecord(now time.Time, t *tape) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := min(len(m.pending), samplesIn(now.Sub(m.at))); n > 0 {
		t.add(m.at, m.pending[:n])
	}
	m.tapes = slices.DeleteFunc(m.tapes, func(o *tape) bool { return o == t })
}

// recordingStatus is how a recording stands.
type recordingStatus string

const (
	recordingRuns      recordingStatus = "in-progress"
	recordingPaused    recordingStatus = "paused"
	recordingStopped   recordingStatus = "stopped"
	recordingCompleted recordingStatus = "completed"
	recordingAbsent    recordingStatus = "absent"
)

// A recordOrder is how a call shall be recorded.
type recordOrder struct {
	source   string
	channels int    // 1 or 2
	track    string // "both", "inbound", which is what the phone says, or "outbound"
	limit    time.Duration
	format   string // "wav" or "mp3", of which the second has no file
	origin   string // scheme and host at which the API was asked
	hookURL  string
	method   string
	events   map[recordingStatus]bool // that are told
}

// A recording is one of a call by the carrier.
type recording struct {
	recordOrder
	call    *call
	id      string
	created time.Time
	chance  chance

	mu       sync.Mutex
	status   recordingStatus
	tape     *tape
	limiter  *time.Timer
	pauses   []pauseInRecording
	changed  time.Time
	ended    time.Time
	complete time.Time // when the file was there
	pcm      [2][]int16
}

// A pauseInRecording is what is left out.
type pauseInRecording struct {
	from, to time.Time // to is zero while it lasts
	skip     bool      // nothing takes its place, otherwise silence does
}

// recordings are those of a carrier.
type recordings struct {
	mu   sync.Mutex
	all  []*recording // in the order in which they were made
	held int          // samples of those that are over
}

// record begins to record a call. It reports false if the call is not in
// progress.
func (c *call) record(o recordOrder) (*recording, bool) {
	now := time.Now()
	r := &recording{recordOrder: o, call: c, id: c.dialect.recordingID(), created: now, changed: now, status: recordingRuns, tape: &tape{}}
	c.mu.Lock()
	if c.ending != nil || c.talk == nil || len(c.recordings) >= maxCallTapes {
		c.mu.Unlock()
		return nil, false
	}
	c.recordings = append(c.recordings, r)
	r.chance = c.faults.chance(c.ordinal, 1<<7|uint64(len(c.recordings)))
	talk := c.talk
	c.mu.Unlock()
	talk.mouth.record(now, r.tape)
	c.carrier.recordings.add(r, c.carrier.audio.limit)
	if o.limit > 0 {
		r.mu.Lock()
		r.limiter = time.AfterFunc(o.limit, func() { r.stop() })
		r.mu.Unlock()
	}
	r.tell()
	return r, true
}

// stopRecordings ends the recordings of a call that is over.
func (c *call) stopRecordings() {
	c.mu.Lock()
	all := slices.Clone(c.recordings)
	c.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
}

func (r *recording) isOver() bool { return r.status != recordingRuns && r.status != recordingPaused }

// pause leaves out what follows. It reports false if the recording is over.
func (r *recording) pause(skip bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver() {
		return false
	}
	if r.status == recordingRuns {
		r.changed = time.Now()
		r.status = recordingPaused
		r.pauses = append(r.pauses, pauseInRecording{from: r.changed, skip: skip})
	}
	return true
}

// resume ends a pause. It reports false if the recording is over.
func (r *recording) resume() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver() {
		return false
	}
	r.endPause(time.Now())
	r.status = recordingRuns
	return true
}

// endPause ends the pause that lasts, if one does. r.mu is held.
func (r *recording) endPause(now time.Time) {
	if r.status == recordingPaused {
		r.changed = now
		r.pauses[len(r.pauses)-1].to = now
	}
}

// stop ends a recording, whose file is there a while later. It reports false if
// it was over.
func (r *recording) stop() bool {
	talk := r.call.talking()
	i := r.call.info()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver() {
		return false
	}
	now := time.Now()
	if !i.Ended.IsZero() && i.Ended.Before(now) {
		now = i.Ended
	}
	if r.limiter != nil {
		r.limiter.Stop()
	}
	r.endPause(now)
	r.status, r.ended, r.changed = recordingStopped, now, now
	talk.mouth.unrecord(now, r.tape)
	r.develop(talk)
	carrier := r.call.carrier
	_ = carrier.start(func() { // after Close nobody asks for the file
		delay := processingTime
		if late := r.call.faults.RecordingDelay; late > 0 {
			carrier.fire(FaultRecordingLate)
			delay += late
		}
		if sleep(carrier.ctx, delay) {
			r.finish()
		}
	})
	return true
}

// develop makes the samples of both channels: what the phone said and what it
// heard. r.mu is held.
func (r *recording) develop(talk *Talk) {
	said := make([]int16, nearest(r.ended.Sub(r.created)))
	r.tape.copyTo(said, r.created)
	r.tape = nil
	heard := talk.ear.heard(r.ended, r.created.Sub(talk.answered), r.ended.Sub(talk.answered))
	heard = append(heard, make([]int16, len(said))...)[:len(said)]
	for _, p := range slices.Backward(r.pauses) {
		from, to := nearest(p.from.Sub(r.created)), min(len(said), nearest(p.to.Sub(r.created)))
		if p.skip {
			said, heard = slices.Delete(said, from, to), slices.Delete(heard, from, to)
			continue
		}
		clear(said[from:to])
		clear(heard[from:to])
	}
	r.pcm = [2][]int16{said, heard}
}

// finish makes the file of a recording available and tells of it.
func (r *recording) finish() {
	r.mu.Lock()
	r.complete = time.Now()
	r.changed = r.complete
	r.status = recordingCompleted
	if len(r.pcm[0]) == 0 {
		r.status = recordingAbsent
	}
	n := r.samples()
	r.mu.Unlock()
	r.call.carrier.recordings.complete(n, r.call.carrier.audio.limit)
	r.tell()
}

// samples is how many are kept. r.mu is held.
func (r *recording) samples() int { return len(r.pcm[0]) + len(r.pcm[1]) }

// tell tells the application how a recording stands, if it wants to know.
func (r *recording) tell() {
	r.mu.Lock()
	told := r.events[r.status]
	r.mu.Unlock()
	if !told || r.hookURL == "" {
		return
	}
	r.call.post.push(hook{
		method: r.method, url: r.hookURL, token: newToken(), params: r.call.dialect.recorded(r),
		status: true, final: true, chance: &r.chance,
	})
}

// A recordingView is how a recording stands at one moment.
type recordingView struct {
	status         recordingStatus
	changed, ended time.Time
	length         time.Duration // of what is not left out, once it is over
}

func (r *recording) view() recordingView {
	r.mu.Lock()
	defer r.mu.Unlock()
	return recordingView{r.status, r.changed, r.ended, length(len(r.pcm[0]))}
}

// file returns a recording as a WAV file of so many channels. It reports false
// if it is not there yet, or not any more.
func (r *recording) file(channels int) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status != recordingCompleted || r.pcm[0] == nil {
		return nil, false
	}
	if late := r.call.faults.MediaMissing; late > 0 && time.Since(r.complete) < late {
		r.call.carrier.fire(FaultMediaMissing)
		return nil, false
	}
	said, heard := r.pcm[0], r.pcm[1]
	var pcm []int16
	if channels == 2 {
		pcm = make([]int16, 0, 2*len(said))
		for i := range said {
			pcm = append(pcm, said[i], heard[i])
		}
		return waveFile(pcm, 2), true
	}
	pcm = slices.Clone(said)
	switch r.track {
	case "inbound":
	case "outbound":
		copy(pcm, heard)
	default:
		for i := range pcm {
			pcm[i] = saturated(int32(said[i]) + int32(heard[i]))
		}
	}
	return waveFile(pcm, 1), true
}

// waveFile writes samples as a WAV file of linear audio.
func waveFile(pcm []int16, channels int) []byte {
	var b bytes.Buffer
	size := uint32(2 * len(pcm))
	b.WriteString("RIFF")
	for _, v := range []any{36 + size, [8]byte([]byte("WAVEfmt ")), uint32(16), uint16(1), uint16(channels),
		uint32(rate), uint32(2 * rate * channels), uint16(2 * channels), uint16(16), [4]byte([]byte("data")), size, pcm} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes all
	}
	return b.Bytes()
}

// add remembers r.
func (rs *recordings) add(r *recording, limit int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all = append(rs.all, r)
	rs.forget(limit)
}

// complete counts the samples of one that is over.
func (rs *recordings) complete(samples, limit int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.held += samples
	rs.forget(limit)
}

// forget drops the oldest that are over, if there are too many or they hold more
// than limit. rs.mu is held.
func (rs *recordings) forget(limit int) {
	for len(rs.all) > maxRecordings || rs.held > limit {
		i := slices.IndexFunc(rs.all, (*recording).isComplete)
		if i < 0 {
			return
		}
		rs.drop(i)
	}
}

func (r *recording) isComplete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.complete.IsZero()
}

// drop forgets a recording that is complete. rs.mu is held.
func (rs *recordings) drop(i int) {
	r := rs.all[i]
	rs.all = slices.Delete(rs.all, i, i+1)
	r.mu.Lock()
	defer r.mu.Unlock()
	rs.held -= r.samples()
	r.pcm = [2][]int16{}
}

// get returns the recording with this id, nil if there is none.
func (rs *recordings) get(id string) *recording {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		if r.id == id {
			return r
		}
	}
	return nil
}

// list returns the recordings that fit, newest first.
func (rs *recordings) list(fits func(*recording) bool) []*recording {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var found []*recording
	for _, r := range slices.Backward(rs.all) {
		if fits(r) {
			found = append(found, r)
		}
	}
	return found
}

// remove forgets r. It reports false if r is not complete.
func (rs *recordings) remove(r *recording) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	i := slices.Index(rs.all, r)
	if i < 0 || !r.isComplete() {
		return false
	}
	rs.drop(i)
	return true
}
