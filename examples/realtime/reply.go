package realtime

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/transcript"
)

// mostSound is how much of a reply may wait to be heard: models make it faster
// than it is spoken. More is left out.
const mostSound = 10 * time.Minute

// mostWords is how many bytes of its words are kept.
const mostWords = 64 << 10

// reply is something that the model says. It is an audio.Reader of what has
// arrived, and waits for more.
type reply struct {
	link         *link
	id, response string
	content      int
	said         bool // the session has it; of the goroutine that reads the link

	mu      sync.Mutex // guards what follows
	arrived *sync.Cond
	sound   []byte // not yet read
	total   int    // samples that have come
	words   strings.Builder
	whole   bool          // no more sound comes
	spoken  chan struct{} // closed when no more words come
}

// reply is the one that an event is about.
func (l *link) reply(e *event) *reply {
	r, ok := l.replies[e.ItemID]
	if !ok {
		r = &reply{link: l, id: e.ItemID, response: e.ResponseID, content: e.ContentIndex, spoken: make(chan struct{})}
		r.arrived = sync.NewCond(&r.mu)
		l.replies[e.ItemID] = r
	}
	return r
}

// hear takes sound, and has it said when it is the first.
func (r *reply) hear(encoded string) {
	sound, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return // it is heard that something is missing
	}
	r.mu.Lock()
	if !r.whole && len(r.sound)+len(sound) <= audio.Samples(mostSound, rate) {
		r.sound = append(r.sound, sound...)
		r.total += len(sound)
	}
	r.mu.Unlock()
	r.arrived.Signal()
	if r.said {
		return
	}
	r.said = true
	b := r.link.bridge
	b.spoken.Store(true)
	b.sounding.Add(1)
	speech := b.session.Say(call.Utterance{Audio: r})
	b.work.Go(func() {
		defer b.sounding.Add(-1)
		r.account(speech)
	})
}

// read takes words.
func (r *reply) read(words string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.words.Len()+len(words) <= mostWords {
		r.words.WriteString(words)
	}
}

// end tells that no more sound comes.
func (r *reply) end() {
	r.mu.Lock()
	r.whole = true
	r.mu.Unlock()
	r.arrived.Broadcast()
}

// finish tells that nothing more comes of a reply.
func (l *link) finish(id string) {
	l.replies[id].end()
	close(l.replies[id].spoken)
	delete(l.replies, id)
}

// Rate implements audio.Reader.
func (r *reply) Rate() int { return rate }

// ReadPCM implements audio.Reader.
func (r *reply) ReadPCM(p []int16) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.sound) == 0 {
		if r.whole {
			return 0, io.EOF
		}
		r.arrived.Wait()
	}
	n := min(len(p), len(r.sound))
	audio.Decode(p[:n], audio.MuLaw, r.sound[:n])
	r.sound = r.sound[n:]
	return n, nil
}

// account waits until it is known how much was heard, tells the model if that is
// not all, and notes the words.
func (r *reply) account(speech *call.Speech) {
	b := r.link.bridge
	select {
	case <-speech.Done():
	case <-b.ctx.Done():
		if errors.Is(context.Cause(b.ctx), call.ErrHandedOver) {
			r.end()
			return // it goes on, and nobody waits for that
		}
	}
	heard, _ := speech.Wait(context.WithoutCancel(b.ctx)) // at the end of the call it is soon known
	cut := heard.Status == call.HeardCut
	r.end() // for a reader that waits
	if cut {
		r.link.cut(r, heard.Duration)
	} else {
		<-r.spoken
	}
	if text := r.heard(heard.Duration, cut); text != "" {
		now := b.session.Now()
		b.session.AddSegment(transcript.Segment{
			ID: r.id, Speaker: transcript.Agent, Text: text,
			At: max(0, now-heard.Duration), End: now, Confidence: 1, Final: true,
		})
	}
}

// heard are the words that fit into so much of the sound. The model says them at
// the same time, about.
func (r *reply) heard(heard time.Duration, cut bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	words := strings.Fields(r.words.String())
	if whole := audio.Duration(r.total, rate); cut && whole > 0 {
		words = words[:int(float64(len(words))*min(1, float64(heard)/float64(whole)))]
	}
	return strings.Join(words, " ")
}
