package recording

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	// maxJump is how far a frame may be ahead of the recording. One further
	// ahead is believed only if so much time has really passed, so that a
	// carrier's broken clock does not fill the disk with silence.
	maxJump = time.Minute

	// publishGrace bounds publishing when Close did not wait for it.
	publishGrace = 10 * time.Second

	// firstRing is what a ring holds at first, and minReach how far behind the
	// other a track is expected at least.
	firstRing = time.Second
	minReach  = 750 * time.Millisecond
)

// scratch is what is being written to a file, as the ring has it and as the file
// does.
type scratch struct {
	stereo []int16
	bytes  []byte
}

// grow makes room for so many positions.
func (s *scratch) grow(positions int) {
	if n := sides * positions; len(s.stereo) < n {
		s.stereo = make([]int16, n)
		s.bytes = make([]byte, n*audio.PCM16.SampleBytes())
	}
}

// scratches are borrowed for a flush.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// wavSink records one call. The newest stretch of the recording lies in a ring
// of stereo samples into which WriteFrame puts both tracks at their places. The
// goroutine of run copies what is new from there into the file; where one track
// lags behind, that stretch is written once more. So nothing waits for a silent
// track, and the file is never behind by more than one flush.
//
// The ring grows to what it must hold, WAV.Buffer at most: what is not in the
// file yet, and as much before the head as a track may still fill. That is all
// of Buffer while a track has not been heard at all, and then twice as much as a
// track was ever late. So the ring of a usual call holds a second.
//
// Positions count stereo samples from the start of the stream.
type wavSink struct {
	storage, key string
	layout       layout
	rate         int
	startedAt    time.Time
	syncEvery    time.Duration // negative means only at the end

	pending chan struct{}        // wakes run early; one is as good as many
	stop    chan context.Context // gets that of the first Close
	done    chan struct{}        // closed when run has ended

	mu      sync.Mutex
	ring    []int16 // of both sides; those of position p lie at p modulo size
	size    int64   // positions that the ring has room for
	bound   int64   // and at most, when it has grown
	most    int64   // positions that the file has room for
	head    int64   // end of what is known …
	tail    int64   // … and its beginning: the ring holds what is between
	late    int64   // how far behind the head a frame has come
	tracks  [sides]wavTrack
	dropped int64 // samples, both tracks
	full    bool  // audio was refused because a WAV file cannot be longer
	closed  bool
	err     error // the first error of the file; nothing is written after it
	kept    int64 // what the file's header tells of
	settled bool  // result and failure will not change
	result  Recording
	failure error

	// Of run alone.
	file    File
	scratch *scratch // during a flush
	written int64    // end of what the file holds
	synced  time.Time
	dirty   bool // something was written since
}

// wavTrack is what one side of the recording has of its own. The samples from
// first to next are in the ring and not yet in the file.
type wavTrack struct {
	first, next int64
	heard       bool
}

func newWAVSink(w *WAV, info Info, file File) *wavSink {
	rate := info.Format.Rate
	bound := audio.Samples(cmp.Or(w.Buffer, defaultBuffer), rate)
	size := min(bound, audio.Samples(firstRing, rate))
	return &wavSink{
		layout:    w.layout(rate),
		rate:      rate,
		startedAt: info.StartedAt,
		syncEvery: cmp.Or(w.Sync, defaultSync),
		pending:   make(chan struct{}, 1),
		stop:      make(chan context.Context, 1),
		done:      make(chan struct{}),
		ring:      make([]int16, sides*size),
		size:      int64(size),
		bound:     int64(bound),
		most:      w.layout(rate).maxFrames(),
		kept:      -1,
		file:      file,
		synced:    time.Now(),
	}
}

// position is where a moment of the media clock falls, rounded to the nearest
// sample: the clock counts nanoseconds, of which not every rate has a whole
// number in a sample.
func (s *wavSink) position(at time.Duration) int64 {
	whole, rest := int64(at/time.Second), int64(at%time.Second)
	rate := int64(s.rate)
	return whole*rate + (rest*rate+int64(time.Second)/2)/int64(time.Second)
}

// WriteFrame puts the frame in its place. It drops, and counts, what is behind
// the ring or behind its own track, what the ring has no room for because the
// disk is behind, and what is too far ahead to be true.
func (s *wavSink) WriteFrame(f *audio.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.err != nil || int(f.Track) >= sides {
		return
	}
	kept := 0
	if f.Format.Rate == s.rate && f.At >= 0 && s.believable(f.At) {
		kept = s.place(int(f.Track), s.position(f.At), f.PCM)
	}
	if lost := len(f.PCM) - kept; lost > 0 {
		s.wake()
		if !f.Filled && f.Format.Rate > 0 {
			s.dropped += int64(lost) * int64(s.rate) / int64(f.Format.Rate)
		}
	}
}

// believable reports whether the recording may already have come to at.
func (s *wavSink) believable(at time.Duration) bool {
	return at <= audio.Duration(int(s.head), s.rate)+maxJump || at <= time.Since(s.startedAt)+maxJump
}

// place copies pcm, which begins at pos, into the ring and returns how many
// samples it took.
func (s *wavSink) place(side int, pos int64, pcm []int16) int {
	t := &s.tracks[side]
	t.heard = true
	s.late = max(s.late, min(s.head-pos, s.bound))
	if early := max(t.next, s.tail) - pos; early > 0 {
		pcm = pcm[min(early, int64(len(pcm))):]
		pos += early
	}
	limit := s.oldest(pos) + s.bound
	if limit > s.most {
		limit = s.most
		s.full = s.full || pos+int64(len(pcm)) > limit
	}
	pcm = pcm[:max(0, min(int64(len(pcm)), limit-pos))]
	if len(pcm) == 0 {
		return 0
	}
	end := pos + int64(len(pcm))
	s.makeRoom(pos, end)
	s.advance(end)
	if t.first == t.next {
		t.first = pos
	}
	t.next = end

	at := int(pos % s.size)
	n := min(len(pcm), int(s.size)-at)
	putSide(s.ring[sides*at:], side, pcm[:n])
	putSide(s.ring, side, pcm[n:])
	if t.next-t.first > s.bound/4 || end-s.oldest(end) > s.bound/4*3 {
		s.wake()
	}
	return len(pcm)
}

// putSide puts the samples of one side beside those of the other.
func putSide(dst []int16, side int, src []int16) {
	dst = dst[:sides*len(src)]
	for i, v := range src {
		dst[sides*i+side] = v
	}
}

// oldest is the first position in the ring that is not yet in the file, or pos
// if there is none before it.
func (s *wavSink) oldest(pos int64) int64 {
	for _, t := range s.tracks {
		if t.first < t.next {
			pos = min(pos, t.first)
		}
	}
	return pos
}

// makeRoom has the ring grow if the head is to move to end, and a frame that
// begins at pos is to be put there.
func (s *wavSink) makeRoom(pos, end int64) {
	keep := max(s.tail, min(s.oldest(pos), s.head-s.reach()))
	need := min(max(s.head, end)-keep, s.bound)
	if need <= s.size {
		return
	}
	size := s.size
	for size < need {
		size = min(2*size, s.bound)
	}
	ring := make([]int16, sides*size)
	for p := s.tail; p < s.head; {
		from, to := s.ring[sides*(p%s.size):], ring[sides*(p%size):]
		p += int64(copy(to, from[:min(int64(len(from)), sides*(s.head-p))]) / sides)
	}
	s.ring, s.size = ring, size
}

// reach is how far behind the head a frame may still be put.
func (s *wavSink) reach() int64 {
	for _, t := range s.tracks {
		if !t.heard {
			return s.bound
		}
	}
	return max(int64(audio.Samples(minReach, s.rate)), 2*s.late)
}

// advance moves the head forward to end, over silence.
func (s *wavSink) advance(end int64) {
	from := max(s.head, end-s.size)
	if from >= end {
		return
	}
	s.head = end
	s.tail = max(s.tail, end-s.size)
	at, n := from%s.size, end-from
	first := min(n, s.size-at)
	clear(s.ring[sides*at : sides*(at+first)])
	clear(s.ring[:sides*(n-first)])
}

func (s *wavSink) wake() {
	select {
	case s.pending <- struct{}{}:
	default:
	}
}

// run writes the file until Close, and then publishes it.
func (s *wavSink) run() {
	defer close(s.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.pending:
		case ctx := <-s.stop:
			s.finish(ctx)
			return
		}
		s.flush()
		s.syncFile()
	}
}

// flush writes what the ring holds and the file does not, then the header.
func (s *wavSink) flush() {
	scratch := scratches.Get().(*scratch)
	scratch.grow(audio.Samples(flushEvery, s.rate))
	s.scratch = scratch
	defer func() {
		s.scratch = nil
		scratches.Put(scratch)
	}()
	for {
		g := s.gather()
		if g.from == g.end || !s.writeAt(g.from, g.end) {
			break
		}
		s.saved(g)
	}
	s.writeHeader()
}

// gathered says what lies in scratch: the positions from to end, and each track
// as far as it was known then. It may go on to grow while scratch is written.
type gathered struct {
	from, end int64
	known     [sides]int64
}

// gather copies the oldest samples that are not in the file to scratch: none if
// there are none, or if they are not to be written any more.
func (s *wavSink) gather() gathered {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.oldest(s.head)
	end := from
	if s.err == nil && !s.settled {
		for range sides { // one stretch may lead on to the other
			for _, t := range s.tracks {
				if t.first < t.next && t.first <= end {
					end = max(end, t.next)
				}
			}
		}
	}
	end = min(end, from+int64(len(s.scratch.stereo)/sides))
	at := from % s.size
	n := min(end-from, s.size-at)
	copy(s.scratch.stereo, s.ring[sides*at:sides*(at+n)])
	copy(s.scratch.stereo[sides*n:], s.ring[:sides*(end-from-n)])
	return gathered{from, end, [sides]int64{s.tracks[0].next, s.tracks[1].next}}
}

// saved notes that the file holds what was gathered.
func (s *wavSink) saved(g gathered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.tracks {
		t := &s.tracks[i]
		t.first = max(t.first, min(g.end, g.known[i]))
	}
}

// writeAt writes what was gathered to the positions from to end.
func (s *wavSink) writeAt(from, end int64) bool {
	if !s.fill(from) {
		return false
	}
	n := s.layout.put(s.scratch.bytes, s.scratch.stereo[:sides*(end-from)])
	return s.put(s.scratch.bytes[:n], from)
}

// fill puts silence between what the file holds and pos. Where silence is zero
// bytes, the file has it of itself.
func (s *wavSink) fill(pos int64) bool {
	silence := s.layout.Encoding.Silence()
	if silence == 0 || pos <= s.written {
		return true
	}
	quiet := bytes.Repeat([]byte{silence}, int(min(pos-s.written, int64(s.rate))*s.layout.frameBytes()))
	for s.written < pos {
		n := min((pos-s.written)*s.layout.frameBytes(), int64(len(quiet)))
		if !s.put(quiet[:n], s.written) {
			return false
		}
	}
	return true
}

// put writes whole frames to a position.
func (s *wavSink) put(frames []byte, pos int64) bool {
	size := s.layout.frameBytes()
	n, err := s.file.WriteAt(frames, s.layout.headerBytes()+pos*size)
	s.written = max(s.written, pos+int64(n)/size)
	s.dirty = true
	s.fail(err)
	return err == nil
}

// writeHeader makes the header tell of all that the file holds.
func (s *wavSink) writeHeader() {
	s.mu.Lock()
	skip := s.settled || s.kept == s.written
	s.mu.Unlock()
	if skip {
		return
	}
	var err error
	if s.layout.padding(s.written) > 0 { // in whose place the next sound goes
		_, err = s.file.WriteAt([]byte{0}, s.layout.size(s.written)-1)
	}
	if err == nil {
		_, err = s.file.WriteAt(s.layout.header(s.written), 0)
	}
	s.fail(err)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled {
		s.kept = s.written
	}
}

// syncFile hands the file to the device when it is time.
func (s *wavSink) syncFile() {
	const early = flushEvery / 2 // better now than a whole flush too late
	if s.syncEvery < 0 || time.Since(s.synced) < s.syncEvery-early || !s.dirty || s.failed() {
		return
	}
	s.dirty, s.synced = false, time.Now()
	s.fail(s.file.Sync())
}

func (s *wavSink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *wavSink) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// finish writes what is left and publishes the file.
func (s *wavSink) finish(ctx context.Context) {
	s.flush()
	s.pad()
	s.writeHeader()
	s.trim()

	if ctx.Err() != nil { // Close gave up; what there is shall be kept all the same
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), publishGrace)
		defer cancel()
	}
	s.fail(s.file.Commit(ctx))
	s.settle(nil)
}

// pad makes the file as long as the recording is: it ends in silence that was
// never written.
func (s *wavSink) pad() {
	s.mu.Lock()
	head, skip := s.head, s.settled || s.err != nil
	s.mu.Unlock()
	if skip || head <= s.written {
		return
	}
	if s.fill(head - 1) {
		s.put(bytes.Repeat([]byte{s.layout.Encoding.Silence()}, int(s.layout.frameBytes())), head-1)
	}
}

// trim takes away what a write that failed has left behind that of which the
// header tells, from a file that can be shortened.
func (s *wavSink) trim() {
	s.mu.Lock()
	kept, failed := max(0, s.kept), s.err != nil
	s.mu.Unlock()
	if file, ok := s.file.(interface{ Truncate(size int64) error }); ok && failed {
		s.fail(file.Truncate(s.layout.size(kept)))
	}
}

// Close ends the recording, as Sink says.
func (s *wavSink) Close(ctx context.Context, end time.Duration) (Recording, error) {
	s.begin(ctx, end)
	select {
	case <-s.done:
	case <-ctx.Done():
		s.settle(context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result, s.failure
}

// begin is what only the first Close does.
func (s *wavSink) begin(ctx context.Context, end time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.believable(end) {
		// Nothing is placed any more, so the ring need not be cleared.
		upTo := s.position(end)
		s.full = s.full || upTo > s.most
		s.head = max(s.head, min(upTo, s.most))
	}
	s.stop <- ctx
}

// settle fixes what Close returns; the first one does. gaveUp is why Close did
// not wait, or nil.
func (s *wavSink) settle(gaveUp error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled {
		return
	}
	s.settled = true
	s.failure = cmp.Or(s.err, gaveUp)
	if s.failure != nil {
		s.failure = fmt.Errorf("recording: %s: %w", s.key, s.failure)
	}
	s.result = s.layout.recording(max(0, s.kept))
	s.result.Storage, s.result.Key = s.storage, s.key
	s.result.CreatedAt = s.startedAt
	s.result.Truncated = s.failure != nil || s.full
	s.result.Dropped = audio.Duration(int(s.dropped), s.rate)
}
