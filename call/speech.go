package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Utterance is something for the caller to hear.
type Utterance struct {
	// Audio is played to its end, at any rate that audio.Resample knows. If it
	// is an io.Closer it is closed when it has been played or cut off. One that
	// is cut off while it does not return is closed when it does; what is said
	// next does not wait for it.
	Audio audio.Reader
	// Text is what Audio says. It goes into the transcript once it was heard, cut
	// to what was heard if it was cut off. Empty: nothing is noted.
	Text string
	// Protected keeps callers from interrupting it: see Interruption.
	Protected bool
	// Background lets it play only as long as there is nothing else to say: hold
	// music, ringback, the noises of an office. It begins when all before it has
	// been heard, and fades when there is another utterance. With audio.Loop it
	// never ends by itself. Callers do not interrupt it.
	Background bool
}

// HeardStatus says how it is known how much of a Speech was heard.
type HeardStatus uint8

const (
	// HeardAll: the carrier has confirmed that it was played to its end.
	HeardAll HeardStatus = iota
	// HeardUnconfirmed: by the clock it was played to its end, but the carrier
	// has not said so.
	HeardUnconfirmed
	// HeardCut: it was cut off, by the caller, by Clear or by the end of the
	// call.
	HeardCut
)

// String returns "all", "unconfirmed" or "cut".
func (s HeardStatus) String() string {
	names := [...]string{"all", "unconfirmed", "cut"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("heard(%d)", uint8(s))
}

// Heard is how much of a Speech the caller has heard.
type Heard struct {
	Status   HeardStatus
	Duration time.Duration
}

// Speech is something that the agent says: queued, being played, or done with.
type Speech struct {
	session   *Session
	utterance Utterance

	done  chan struct{}
	heard Heard // valid once done is closed
	err   error // likewise: what the reader failed with

	// Guarded by player.mu, in samples of the stream's outgoing sound.
	begun   bool
	start   int64
	end     int64 // valid if written
	written bool  // all of it is in the stream's buffer
	settled bool
	at      time.Duration // media time of its beginning
	total   int64         // length, if the reader tells; else 0
}

// close closes the reader, if it can be closed, and contains its panic.
func (p *Speech) close() error {
	c, ok := p.utterance.Audio.(io.Closer)
	if !ok {
		return nil
	}
	return contain(c.Close)
}

// Done is closed when it is known how much was heard.
func (p *Speech) Done() <-chan struct{} { return p.done }

// Wait returns how much was heard, once that is known. The error is that of ctx,
// if it ends first, or that of the reader, if it failed; what it had delivered
// was still played.
func (p *Speech) Wait(ctx context.Context) (Heard, error) {
	select {
	case <-p.done:
		return p.heard, p.err
	case <-ctx.Done():
		return Heard{}, ctx.Err()
	}
}

// Speak plays r to the caller, after what is already queued, and returns at
// once. It is Say for sound without words.
func (s *Session) Speak(r audio.Reader) *Speech { return s.Say(Utterance{Audio: r}) }

// Say plays an utterance to the caller, after what is already queued, and
// returns at once. At most 64 may be queued; another one is cut off before it
// begins, with ErrQueueFull.
func (s *Session) Say(u Utterance) *Speech {
	p := &Speech{session: s, utterance: u, done: make(chan struct{})}
	s.player.say(p)
	return p
}

// Clear stops what is being said and drops what was to be said, so that the
// caller hears nothing more of it. It returns how much sound was dropped that
// had been queued for the stream.
func (s *Session) Clear() time.Duration { return s.player.clear() }

// ErrQueueFull tells that too much is waiting to be said.
var ErrQueueFull = errors.New("call: too many utterances are queued")

const maxQueued = 64

// backgroundFade is how long background fades when there is something to say.
const backgroundFade = 80 * time.Millisecond

// player plays one utterance after the other. Its goroutine exists only while
// there is something to play. It is in the hands of the reader that it plays; if
// that is cut off, another goroutine goes on with the queue.
type player struct {
	session *Session

	mu      sync.Mutex    // guards what follows
	queue   []*Speech     // not begun
	pending []*Speech     // begun and not settled, in order
	playing *Speech       // in the hands of the goroutine
	running bool          // there is a goroutine
	cleared int64         // how much had been written when the stream was last cleared
	since   time.Duration // media time at which what is pending began to be heard
	holding *Speech       // the caller is on hold, and hears this
	away    bool          // there is no stream at present
	ended   bool
	changed chan struct{} // closed when one of the last three changes
}

// tellChange wakes those who wait for a change. The caller holds mu.
func (q *player) tellChange() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *player) init(s *Session) {
	q.session = s
	q.away = true // until the first stream has started
	q.changed = make(chan struct{})
}

func (q *player) say(p *Speech) {
	if err := q.enqueue(p); err != nil {
		p.err = errors.Join(err, p.close())
		close(p.done)
	}
}

func (q *player) enqueue(p *Speech) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		return ErrEnded
	case len(q.queue) >= maxQueued:
		return ErrQueueFull
	}
	q.queue = append(q.queue, p)
	if q.holding == nil {
		q.fade()
	}
	q.start()
	return nil
}

// fade ends the background, if it plays. The caller holds mu.
func (q *player) fade() {
	if n := len(q.pending); n > 0 && q.pending[n-1].utterance.Background {
		q.drained(q.conn().FadeOut(backgroundFade)) // it is alone: see next
	}
}

func (q *player) conn() *stream.Conn { return q.session.link.Load().conn }

// suspend cuts off what is being said, because its stream is gone, and keeps
// what was to be said for the next one.
func (q *player) suspend() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.away = true
	q.tellChange()
	q.cut(q.conn().Position().Heard)
}

// proceed goes on with what is to be said.
func (q *player) proceed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.away = false
	q.cleared = 0 // it is another stream
	q.tellChange()
	if q.holding != nil && q.holding.settled { // by suspend
		q.holding = q.holding.again()
	}
	q.start()
}

// again is p for another stream.
func (p *Speech) again() *Speech {
	return &Speech{session: p.session, utterance: p.utterance, done: make(chan struct{})}
}

// start sees to it that the queue is played. The caller holds mu.
func (q *player) start() {
	due := len(q.queue) > 0
	if q.holding != nil {
		due = !q.holding.begun && !q.holding.settled
	}
	if due && !q.running && !q.away && !q.ended {
		q.running = true
		q.session.host.Go(q.run)
	}
}

func (q *player) run() {
	for {
		p, wait := q.next()
		switch {
		case wait != nil:
			<-wait.done
		case p == nil:
			return
		default:
			if !q.play(p) {
				return
			}
		}
	}
}

// next takes the first of the queue, or ends the goroutine. Background waits for
// what is still to be heard, and is left out if there is more to say.
func (q *player) next() (p, wait *Speech) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) > 1 && q.queue[0].utterance.Background {
		q.drop(q.queue[0])
		q.queue = q.queue[1:]
	}
	switch {
	case q.away:
	case q.holding != nil:
		if !q.holding.begun && !q.holding.settled {
			return q.begin(q.holding), nil
		}
	case len(q.queue) > 0:
		if n := len(q.pending); n > 0 && q.queue[0].utterance.Background {
			return nil, q.pending[n-1]
		}
		p = q.queue[0]
		q.queue = q.queue[1:]
		return q.begin(p), nil
	}
	q.running = false
	return nil, nil
}

// begin notes where p begins. The caller holds mu.
func (q *player) begin(p *Speech) *Speech {
	q.pending = append(q.pending, p)
	q.playing = p
	pos := q.conn().Position()
	p.begun = true
	p.start = pos.Written
	p.at = q.session.Now() + q.unheard(pos)
	if len(q.pending) == 1 {
		q.since = p.at
	}
	return p
}

// talkingSince is when what the caller hears began, utterances that follow each
// other taken together; 0 if there is nothing to hear.
func (q *player) talkingSince() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return 0
	}
	return q.since
}

// unheard is how much sound waits to be heard: what was cleared does not. The
// caller holds mu.
func (q *player) unheard(pos stream.Position) time.Duration {
	return q.duration(pos.Written - max(pos.Heard, q.cleared))
}

// drained settles what has begun when the stream's buffer has been cleared. The
// caller holds mu.
func (q *player) drained(pos stream.Position) {
	q.cleared = pos.Written
	q.cut(pos.Heard)
}

// errCutOff tells that nobody will hear the rest of an utterance.
var errCutOff = errors.New("cut off")

// play moves an utterance into the stream's buffer, which paces it. It reports
// false if it was cut off meanwhile: the goroutine is not the player's any more.
func (q *player) play(p *Speech) bool {
	err := q.copy(p)
	cut := err == errCutOff
	err = errors.Join(err, p.close())
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.settled || cut {
		return false // it is settled by whoever cut it off
	}
	q.playing = nil
	p.err = err
	p.written = true
	p.end = q.conn().Mark()
	if p.end == p.start {
		q.settle(p, Heard{Status: HeardAll})
	}
	return true
}

func (q *player) copy(p *Speech) (err error) {
	defer recoverTo(&err)
	src, rate := p.utterance.Audio, q.session.format.Rate
	if src == nil {
		return nil
	}
	var resampler *audio.Resampler
	if src.Rate() != rate {
		if resampler, err = audio.NewResampler(src.Rate(), rate); err != nil {
			return err
		}
	}
	var total int64
	if l, ok := src.(interface{ Len() int }); ok {
		total = int64(l.Len()) * int64(rate) / int64(src.Rate())
	}
	conn := q.conn()
	generation := conn.Generation()
	if q.measured(p, total) {
		return errCutOff
	}
	buf := make([]int16, max(1, src.Rate()/50))
	var resampled []int16
	for {
		n, err := src.ReadPCM(buf)
		pcm := buf[:n]
		if resampler != nil {
			resampled = resampler.Append(resampled[:0], pcm)
			pcm = resampled
		}
		if _, werr := conn.WriteIn(generation, pcm); werr != nil {
			return errCutOff // cleared, or the stream is over
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// measured notes how long p is, and reports whether it has been settled already.
func (q *player) measured(p *Speech, total int64) (settled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.total = total
	return p.settled
}

// heard is told that playback has come to a position.
func (q *player) heard(pos int64, confirmed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pending) > 0 && q.pending[0].written && q.pending[0].end <= pos {
		p := q.pending[0]
		h := Heard{Status: HeardAll, Duration: q.duration(p.end - p.start)}
		if !confirmed {
			h.Status = HeardUnconfirmed
		}
		q.settle(p, h)
	}
}

// clear cuts off all that is queued or playing, and returns how much sound it
// has dropped.
func (q *player) clear() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cutOff(func(*Speech) bool { return false })
}

// interrupt is clear, but that it leaves what is protected: it does nothing,
// and reports false, while such a thing plays.
func (q *player) interrupt() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	protected := func(p *Speech) bool { return p.utterance.Protected }
	if slices.ContainsFunc(q.pending, protected) {
		return false
	}
	q.cutOff(protected)
	return true
}

// cutOff drops all but what is to be kept of the queue. The caller holds mu.
func (q *player) cutOff(keep func(*Speech) bool) time.Duration {
	var dropped time.Duration
	if q.holding == nil { // which is not the agent's to clear
		pos := q.conn().Clear()
		dropped = q.unheard(pos)
		q.drained(pos)
	}
	kept := q.queue[:0]
	for _, p := range q.queue {
		if keep(p) {
			kept = append(kept, p)
			continue
		}
		q.drop(p)
	}
	q.queue = kept
	q.start()
	return dropped
}

// cut settles all that has begun, by how far playback has come.
func (q *player) cut(heard int64) {
	for len(q.pending) > 0 {
		p := q.pending[0]
		if p.written && p.end <= heard {
			q.settle(p, Heard{Status: HeardUnconfirmed, Duration: q.duration(p.end - p.start)})
			continue
		}
		q.settle(p, Heard{Status: HeardCut, Duration: q.duration(max(0, heard-p.start))})
	}
}

// end cuts off everything: the call is over.
func (q *player) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.tellChange()
	q.cut(q.conn().Position().Heard)
	if q.holding != nil && !q.holding.settled {
		q.drop(q.holding)
	}
	for _, p := range q.queue {
		q.drop(p)
	}
	q.queue = nil
}

// drop settles what has not begun, and has its reader closed. The caller holds mu.
func (q *player) drop(p *Speech) {
	q.settle(p, Heard{Status: HeardCut})
	q.session.host.Go(func() { _ = p.close() }) // nobody asked for it, or what became of it
}

// interruptible reports whether something is playing that may be interrupted.
func (q *player) interruptible() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.pending {
		if p.utterance.Protected || p.utterance.Background {
			return false
		}
	}
	return len(q.pending) > 0
}

// inBackground reports whether only background plays.
func (q *player) inBackground() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) > 0 && q.pending[0].utterance.Background
}

// wait waits until all that was to be said is settled; background is not.
func (q *player) wait(ctx context.Context) error {
	for {
		last := q.lastSpeech()
		if last == nil {
			return nil
		}
		select {
		case <-last.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (q *player) lastSpeech() *Speech {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range slices.Backward(slices.Concat(q.pending, q.queue)) {
		if !p.utterance.Background {
			return p
		}
	}
	return nil
}

// settle fixes how much of p was heard, and notes its words. The caller holds mu.
func (q *player) settle(p *Speech, h Heard) {
	if i := slices.Index(q.pending, p); i >= 0 {
		q.pending = slices.Delete(q.pending, i, i+1)
	}
	if q.playing == p { // its reader keeps the goroutine
		q.playing, q.running = nil, false
	}
	p.settled = true
	p.heard = h
	close(p.done)
	words, whole := p.utterance.Text, q.duration(p.total)
	if h.Status != HeardCut {
		whole = h.Duration
	}
	kept := h
	if from, paused := q.session.pauses.first(p.at, p.at+h.Duration); paused {
		kept = Heard{Status: HeardCut, Duration: from - p.at}
	}
	if kept.Status == HeardCut {
		words = heardWords(words, kept.Duration, whole)
	}
	if words == "" {
		return
	}
	q.session.notes.tell(transcript.Segment{
		Speaker: transcript.Agent, Text: words,
		At: p.at, End: p.at + kept.Duration, Confidence: 1, Final: true,
	})
}

func (q *player) duration(samples int64) time.Duration {
	return audio.Duration(int(samples), q.session.format.Rate)
}

// ended turns the end of the stream into the end of the call, and leaves other
// errors as they are.
func ended(err error) error {
	if !errors.Is(err, stream.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrEnded, err)
}
