// Package realtime is an agent that lets a model of OpenAI's Realtime API talk
// with callers: speech goes in and speech comes out, over the API's WebSocket
// (https://platform.openai.com/docs/guides/realtime-websocket).
//
// Sound travels in mu-law both ways, as most carriers have it, so it is neither
// resampled nor coded anew. The caller silences the model by talking: at once by
// the session's own ears, and for good when the model has heard it too. Then the
// model is told how much of its sentence was heard, and goes on from there.
package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Agent lets a model talk. It may have many calls at once; its fields must not
// change once it is used.
type Agent struct {
	// Key is the API key. Servers of one's own may need none.
	Key telephony.Secret
	// BaseURL is where the API is, to be followed by /realtime. Empty means
	// https://api.openai.com/v1.
	BaseURL string
	// Model is who talks. Empty means gpt-realtime.
	Model string
	// Voice is what it sounds like. Empty means marin.
	Voice string
	// Instructions tell the model who it is and what it is to do.
	Instructions string
	// Greeting tells it how to begin. Empty: it waits for the caller.
	Greeting string
	// Functions are what it may do.
	Functions []Function
	// Sorry is what callers hear when the model has gone and does not come back.
	// Nil: nothing.
	Sorry func() call.Utterance
	// Dialer connects. Nil means one with a timeout of ten seconds.
	Dialer *websocket.Dialer
}

// A Function is something that the model may do.
type Function struct {
	Name, Description string
	// Parameters is the JSON schema of the arguments. Nil: there are none.
	Parameters json.RawMessage
	// Call does it, while the conversation goes on, and returns what the model is
	// told: anything that is JSON. An error is told, too, but for ErrGoodbye.
	Call func(ctx context.Context, s *call.Session, arguments json.RawMessage) (any, error)
}

// ErrGoodbye is for a Function to return that ends the call. What the model has
// said is heard first.
var ErrGoodbye = errors.New("realtime: goodbye")

// rate is that of mu-law.
const rate = 8000

// Serve lets the model talk until the call ends, a function says goodbye, or the
// model has gone. The caller's sound is its clock: it comes all the time.
func (a *Agent) Serve(ctx context.Context, s *call.Session) error {
	working, stop := context.WithCancel(ctx)
	b := &bridge{agent: a, session: s, ctx: working, goodbye: make(chan struct{})}
	defer b.close()
	defer stop() // for functions that are still at it
	if err := b.connect(); err != nil {
		return b.giveUp(err)
	}
	line := s.Line(rate)
	var buf [rate / 50]int16
	for {
		n, err := line.ReadPCM(buf[:])
		switch {
		case err == io.EOF || ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-b.goodbye:
			return s.Drain(ctx)
		default:
		}
		if err := b.link.hear(buf[:n]); err == nil {
			continue
		}
		if err := b.reconnect(); err != nil {
			return b.giveUp(err)
		}
	}
}

// Validate tells what is wrong with the settings.
func (a *Agent) Validate() error {
	_, err := a.url()
	return err
}

// giveUp lets the caller know.
func (b *bridge) giveUp(err error) error {
	if b.ctx.Err() != nil {
		return nil // nobody is there any more
	}
	if b.agent.Sorry != nil {
		_, _ = b.session.Say(b.agent.Sorry()).Wait(b.ctx)
	}
	return fmt.Errorf("realtime: %w", err)
}

// pauses are how long to wait before each further attempt to connect. A link that
// has lasted for settled makes all of them available again.
var pauses = []time.Duration{250 * time.Millisecond, time.Second, 3 * time.Second}

const settled = 30 * time.Second

// connect makes a link, and tries again if it makes sense.
func (b *bridge) connect() error {
	for {
		l, err := b.dial()
		if err == nil {
			b.link = l
			return nil
		}
		b.session.Log("realtime", map[string]string{"unavailable": short(err.Error())})
		if errors.Is(err, errRefused) || b.failures == len(pauses) {
			return err
		}
		wait := time.NewTimer(pauses[b.failures])
		b.failures++
		select {
		case <-wait.C:
		case <-b.ctx.Done():
			wait.Stop()
			return b.ctx.Err()
		}
	}
}

// reconnect makes another link when one has broken. The model is told what has
// been said, and goes on if it is its turn.
func (b *bridge) reconnect() error {
	broken := b.link
	broken.close()
	b.session.Log("realtime", map[string]string{"lost": short(broken.err.Error())})
	switch {
	case time.Since(broken.since) >= settled:
		b.failures = 0
	case b.failures == len(pauses):
		return broken.err
	default:
		b.failures++
	}
	return b.connect()
}

// hear sends sound of the caller's. An error tells that the link is broken.
func (l *link) hear(pcm []int16) error {
	select {
	case <-l.ended:
		return l.err
	default:
	}
	if l.heard == 0 {
		l.began.Store(int64(l.bridge.session.Now() - audio.Duration(len(pcm), rate)))
	}
	l.heard += len(pcm)
	l.sound = audio.AppendEncode(l.sound[:0], audio.MuLaw, pcm)
	return l.send(appendSound{Type: "input_audio_buffer.append", Audio: l.sound})
}
