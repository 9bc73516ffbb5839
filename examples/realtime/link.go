package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/transcript"
)

const (
	// writeTimeout is how long it may take nothing: the session keeps five seconds
	// of the caller's sound meanwhile.
	writeTimeout = 4 * time.Second
	// pingEvery and deadAfter find a connection that is dead.
	pingEvery = 5 * time.Second
	deadAfter = 15 * time.Second

	maxMessage = 4 << 20
	// maxBad is how many messages in a row may be of no sense.
	maxBad = 20
	// maxTurns is how many turns of the caller's may wait for their words.
	maxTurns = 64
)

// bridge is the agent at work on one call. The goroutine of Serve has it.
type bridge struct {
	agent   *Agent
	session *call.Session
	ctx     context.Context

	link     *link
	failures int  // in a row
	opened   bool // a session was

	work     sync.WaitGroup // replies that are being heard, and functions
	spoken   atomic.Bool    // the model has
	sounding atomic.Int32   // replies that are not heard to their end
	goodbye  chan struct{}
	once     sync.Once // closes goodbye
}

// close ends the link and waits for all that the bridge has begun.
func (b *bridge) close() {
	if b.link != nil {
		b.link.close()
	}
	b.work.Wait()
}

// link is one connection to the model, and its session there.
type link struct {
	bridge *bridge
	ws     *websocket.Conn
	since  time.Time

	// Of the goroutine of Serve.
	heard int // samples sent
	sound []byte

	began  atomic.Int64 // when the model's clock began, on that of the call
	active atomic.Value // the id of the response that is being made, or ""

	writing sync.Mutex // held by whoever sends

	// Of the goroutine that reads.
	replies map[string]*reply
	turns   map[string]turn
	owed    bool // a response that was refused because another one was being made

	ended chan struct{}
	err   error // why; valid when ended is closed
}

// turn is something that the caller has said.
type turn struct{ from, to time.Duration }

func (l *link) alive() error { return l.ws.SetReadDeadline(time.Now().Add(deadAfter)) }

// send sends a message. An error breaks the link.
func (l *link) send(message any) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return l.ws.WriteJSON(message)
}

// ping asks whether the model is there until the link breaks: while the caller is
// on hold or away, nobody says anything.
func (l *link) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = l.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) // who reads finds out
		case <-l.ended:
			return
		}
	}
}

// close ends the link and waits until it has.
func (l *link) close() {
	end := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = l.ws.WriteControl(websocket.CloseMessage, end, time.Now().Add(time.Second))
	_ = l.ws.Close()
	<-l.ended
}

// read takes what the model says until the link breaks.
func (l *link) read() {
	defer close(l.ended)
	for bad := 0; bad <= maxBad; {
		_, data, err := l.ws.ReadMessage()
		if err == nil {
			err = l.alive()
		}
		if err != nil {
			l.over(err)
			return
		}
		var e event
		if json.Unmarshal(data, &e) != nil {
			bad++
			continue
		}
		bad = 0
		l.take(&e)
	}
	l.over(errors.New("too many messages of no sense"))
}

// over ends what was being said: no more of it comes.
func (l *link) over(err error) {
	l.err = err
	for id := range l.replies {
		l.finish(id)
	}
	_ = l.ws.Close()
}

// take does what an event calls for.
func (l *link) take(e *event) {
	s := l.bridge.session
	switch e.Type {
	case "input_audio_buffer.speech_started":
		if len(l.turns) < maxTurns {
			l.turns[e.ItemID] = turn{from: l.at(e.AudioStart), to: l.at(e.AudioStart)}
		}
		if l.bridge.sounding.Load() > 0 {
			s.Clear()
		}
	case "input_audio_buffer.speech_stopped":
		if t, ok := l.turns[e.ItemID]; ok {
			t.to = l.at(e.AudioEnd)
			l.turns[e.ItemID] = t
		}
	case "conversation.item.input_audio_transcription.completed":
		if t, ok := l.turns[e.ItemID]; ok && e.Transcript != "" {
			s.AddSegment(transcript.Segment{
				ID: e.ItemID, Speaker: transcript.Customer, Text: e.Transcript,
				At: t.from, End: t.to, Confidence: 1, Final: true,
			})
		}
		delete(l.turns, e.ItemID)
	case "conversation.item.input_audio_transcription.failed":
		delete(l.turns, e.ItemID)
	case "response.created":
		l.active.Store(e.Response.ID)
		l.owed = false // it knows all that the other one would have known
	case "response.output_audio.delta":
		l.reply(e).hear(e.Delta)
	case "response.output_audio_transcript.delta":
		l.reply(e).read(e.Delta)
	case "response.output_audio.done":
		l.reply(e).end()
	case "response.done":
		l.active.Store("")
		for id, r := range l.replies {
			if r.response == e.Response.ID {
				l.finish(id)
			}
		}
		if e.Response.Status == "failed" {
			s.Log("realtime", map[string]string{"failed": short(e.Response.Details.Error.String())})
		}
		performs := l.perform(e.Response.Output)
		if l.owed && !performs && e.Response.Status != "cancelled" { // the caller speaks, and is answered after that
			l.owed = false
			_ = l.send(respond("")) // whose error is that of the next message read
		}
	case "error":
		switch e.Error.Code {
		case "response_cancel_not_active": // it was just done
		case "conversation_already_has_active_response":
			l.owed = true
		default:
			s.Log("realtime", map[string]string{"error": short(e.Error.String())})
		}
	}
}

// at is when something was, on the clock of the call.
func (l *link) at(ms int64) time.Duration {
	return time.Duration(l.began.Load()) + time.Duration(ms)*time.Millisecond
}

// cut tells the model that the caller has heard so much of a reply.
func (l *link) cut(r *reply, heard time.Duration) {
	if l.active.Load() == r.response {
		_ = l.send(cancel{Type: "response.cancel", ResponseID: r.response}) // who reads finds out
	}
	_ = l.send(truncate{
		Type: "conversation.item.truncate", ItemID: r.id,
		ContentIndex: r.content, AudioEnd: heard.Milliseconds(),
	})
}

// short is a text that fits into a log.
func short(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}
