package realtime

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
)

// model is a server that speaks the Realtime API as its reference has it, and
// complains of what is not in there. It hears speech by a detector, answers each
// turn with a tone and words, faster than they are spoken, and remembers what it
// was told.
type model struct {
	t *testing.T

	// What it does; not changed once it is used.
	answer time.Duration        // how long its replies are
	delay  func() time.Duration // of each of its messages
	calls  []item               // functions it calls instead of its first replies
	key    string
	refuse func(session int) int      // the status with which a connection is refused, or 0
	opened func(c *conversation) bool // instead of being ready, if it returns false
	ready  func(c *conversation)
	late   time.Duration // how long the caller's words take
	slow   time.Duration // how long it takes to hear

	work sync.WaitGroup // conversations

	mu       sync.Mutex // guards what follows
	sessions int
	log      []string // types of the messages that came, but for sound
	cuts     []cutOff
	outputs  []string // of functions
	history  []string // role and text of the items that were given
	wrong    []string
	heard    []byte // all sound, in mu-law
	live     *conversation
}

// cutOff is a reply of which the model was told that it was cut off.
type cutOff struct {
	item       string
	made, told time.Duration
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.work.Add(1)
	defer m.work.Done()
	m.mu.Lock()
	m.sessions++
	n := m.sessions
	m.mu.Unlock()
	if r.URL.Path != "/v1/realtime" || r.URL.Query().Get("model") != "gpt-realtime" || r.Header.Get("OpenAI-Beta") != "" {
		m.complain("request %v", r.URL)
	}
	if r.Header.Get("Authorization") != "Bearer "+m.key {
		http.Error(w, "no such key", http.StatusUnauthorized)
		return
	}
	if m.refuse != nil {
		if status := m.refuse(n); status != 0 {
			http.Error(w, "not now", status)
			return
		}
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		m.complain("upgrade: %v", err)
		return
	}
	c := &conversation{model: m, ws: ws, number: n, out: make(chan any, 1024), gone: make(chan struct{}), made: make(map[string]time.Duration)}
	m.mu.Lock()
	m.live = c
	m.mu.Unlock()
	c.run()
}

func (m *model) complain(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// conversation is one session of the model's.
type conversation struct {
	model  *model
	ws     *websocket.Conn
	number int
	out    chan any
	gone   chan struct{}
	ready  bool
	ears   *audio.Detector
	coming []byte // sound that it has not heard yet
	heard  int64  // samples
	quiet  int64  // since when the caller is, in samples; 0 if not listened for
	turn   string
	items  int

	mu     sync.Mutex // guards what follows
	made   map[string]time.Duration
	active string // the response that is being made
	stop   chan struct{}
}

type object = map[string]any

func (c *conversation) say(kind string, fields object) {
	m := object{"type": kind, "event_id": "event_0"}
	for k, v := range fields {
		m[k] = v
	}
	select {
	case c.out <- m:
	case <-c.gone:
	}
}

// run lasts as long as the connection.
func (c *conversation) run() {
	var work sync.WaitGroup
	work.Go(c.write)
	defer work.Wait()
	defer c.cancel("")
	defer close(c.gone)
	defer c.ws.Close()
	c.ears, _ = audio.NewDetector(audio.DetectorConfig{})
	c.say("session.created", object{"session": object{"type": "realtime", "model": "gpt-realtime-2025-08-28"}})
	for {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		c.take(data)
	}
}

func (c *conversation) write() {
	for {
		select {
		case <-c.gone:
			return
		case m := <-c.out:
			if c.model.delay != nil {
				time.Sleep(c.model.delay())
			}
			if c.ws.WriteJSON(m) != nil {
				return
			}
		}
	}
}

// strict decodes a message in which every field must be known.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more after the message")
	}
	return nil
}

func (c *conversation) take(data []byte) {
	m := c.model
	var head struct{ Type string }
	if err := json.Unmarshal(data, &head); err != nil {
		m.complain("message %.80q", data)
		return
	}
	if head.Type != "input_audio_buffer.append" {
		m.mu.Lock()
		m.log = append(m.log, head.Type)
		m.mu.Unlock()
	}
	var err error
	switch head.Type {
	case "session.update":
		var e updateSession
		if err = strict(data, &e); err == nil {
			err = c.open(e.Session)
		}
	case "input_audio_buffer.append":
		var e appendSound
		if err = strict(data, &e); err == nil {
			c.listen(e.Audio)
		}
	case "conversation.item.create":
		var e createItem
		if err = strict(data, &e); err == nil {
			err = c.keep(e.Item)
		}
	case "response.create":
		var e createResponse
		if err = strict(data, &e); err == nil {
			c.respond()
		}
	case "response.cancel":
		var e cancel
		if err = strict(data, &e); err == nil && !c.cancel(e.ResponseID) {
			c.say("error", object{"error": object{"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "no active response"}})
		}
	case "conversation.item.truncate":
		var e truncate
		if err = strict(data, &e); err == nil {
			err = c.truncate(e)
		}
	default:
		err = fmt.Errorf("no such message: %s", head.Type)
	}
	if err != nil {
		m.complain("%s: %v", head.Type, err)
	}
}

func (c *conversation) open(s session) error {
	a := s.Audio
	switch {
	case s.Type != "realtime", len(s.Modalities) != 1, s.Modalities[0] != "audio":
		return fmt.Errorf("session of type %q for %v", s.Type, s.Modalities)
	case a.Input.Format.Type != "audio/pcmu", a.Output.Format.Type != "audio/pcmu":
		return fmt.Errorf("formats %+v", a)
	case a.Output.Voice == "", a.Input.Transcription.Model == "", a.Input.TurnDetection.Type != "server_vad":
		return fmt.Errorf("session %+v", s)
	}
	if c.model.opened != nil && !c.model.opened(c) {
		return nil
	}
	c.ready = true
	c.say("session.updated", object{"session": s})
	if c.model.ready != nil {
		c.model.ready(c)
	}
	return nil
}

func (c *conversation) keep(i item) error {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	switch {
	case i.Type == "function_call_output" && i.CallID != "":
		c.model.outputs = append(c.model.outputs, i.Output)
	case i.Type == "message" && len(i.Content) == 1 && (i.Role == "user" && i.Content[0].Type == "input_text" || i.Role == "assistant" && i.Content[0].Type == "output_text"):
		c.model.history = append(c.model.history, i.Role+": "+i.Content[0].Text)
	default:
		return fmt.Errorf("item %+v", i)
	}
	return nil
}

// listen finds turns in what the caller says.
func (c *conversation) listen(ulaw []byte) {
	if !c.ready {
		c.model.complain("sound before the session is ready")
	}
	c.model.mu.Lock()
	c.model.heard = append(c.model.heard, ulaw...)
	c.model.mu.Unlock()
	c.coming = append(c.coming, ulaw...)
	now := max(0, len(c.coming)-audio.Samples(c.model.slow, rate))
	pcm := audio.AppendDecode(nil, audio.MuLaw, c.coming[:now])
	c.coming = c.coming[now:]
	c.heard += int64(len(pcm))
	for _, a := range c.ears.Append(nil, pcm) {
		at := a.At * 1000 / rate
		switch {
		case a.Speaking && c.turn == "":
			c.items++
			c.turn = fmt.Sprintf("item_user_%d_%d", c.number, c.items)
			c.quiet = 0
			c.say("input_audio_buffer.speech_started", object{"item_id": c.turn, "audio_start_ms": at})
			c.cancel("")
		case a.Speaking:
			c.quiet = 0
		default:
			c.quiet = a.At
		}
	}
	if c.turn != "" && c.quiet > 0 && c.heard-c.quiet > rate/2 {
		c.say("input_audio_buffer.speech_stopped", object{"item_id": c.turn, "audio_end_ms": c.quiet * 1000 / rate})
		c.say("input_audio_buffer.committed", object{"item_id": c.turn})
		item := c.turn
		c.turn, c.quiet = "", 0
		c.respond()
		time.AfterFunc(c.model.late, func() {
			c.say("conversation.item.input_audio_transcription.completed", object{"item_id": item, "content_index": 0, "transcript": "That is " + item})
		})
	}
}

// respond makes a reply, or calls a function.
func (c *conversation) respond() {
	c.mu.Lock()
	if c.active != "" {
		c.mu.Unlock()
		c.say("error", object{"error": object{"type": "invalid_request_error", "code": "conversation_already_has_active_response", "message": "wait"}})
		return
	}
	c.items++
	id := fmt.Sprintf("resp_%d_%d", c.number, c.items)
	stop := make(chan struct{})
	c.active, c.stop = id, stop
	c.mu.Unlock()
	c.say("response.created", object{"response": object{"id": id, "status": "in_progress"}})
	c.model.mu.Lock()
	calls := c.model.calls
	if len(calls) > 0 {
		c.model.calls = calls[1:]
	}
	c.model.mu.Unlock()
	if len(calls) > 0 {
		c.done(id, "completed", []item{calls[0]})
		return
	}
	go c.speak(id, stop)
}

const words = "one two three four five six seven eight nine ten"

// tone is what a reply sounds like, in mu-law.
func tone(d time.Duration) []byte {
	return audio.AppendEncode(nil, audio.MuLaw, audiotest.Tone(440, d, rate))
}

// speak makes a reply four times as fast as it is spoken.
func (c *conversation) speak(id string, stop chan struct{}) {
	item := "item_" + id
	about := object{"response_id": id, "item_id": item, "output_index": 0, "content_index": 0}
	with := func(delta string) object {
		return object{"response_id": id, "item_id": item, "output_index": 0, "content_index": 0, "delta": delta}
	}
	ulaw := tone(c.model.answer)
	parts := strings.Fields(words)
	piece := max(1, len(ulaw)/len(parts))
	for i := range parts {
		select {
		case <-stop:
			c.done(id, "cancelled", nil)
			return
		case <-c.gone:
			return
		case <-time.After(audio.Duration(piece, rate) / 4):
		}
		sound := ulaw[i*piece : (i+1)*piece]
		c.mu.Lock()
		c.made[item] += audio.Duration(len(sound), rate)
		c.mu.Unlock()
		c.say("response.output_audio_transcript.delta", with(parts[i]+" "))
		c.say("response.output_audio.delta", with(base64.StdEncoding.EncodeToString(sound)))
	}
	c.say("response.output_audio.done", about)
	c.say("response.output_audio_transcript.done", object{"response_id": id, "item_id": item, "transcript": words})
	c.done(id, "completed", nil)
}

func (c *conversation) done(id, status string, output []item) {
	c.mu.Lock()
	if c.active == id {
		c.active = ""
	}
	c.mu.Unlock()
	c.say("response.done", object{"response": object{"id": id, "status": status, "output": output}})
}

// cancel stops the reply that is being made, or reports that it is none.
func (c *conversation) cancel(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == "" || id != "" && c.active != id {
		return false
	}
	if c.stop != nil {
		close(c.stop)
	}
	c.active, c.stop = "", nil
	return true
}

func (c *conversation) truncate(e truncate) error {
	c.mu.Lock()
	made, ok := c.made[e.ItemID]
	c.mu.Unlock()
	told := time.Duration(e.AudioEnd) * time.Millisecond
	if !ok || told > made || e.ContentIndex != 0 {
		return fmt.Errorf("%v of %s, of which there are %v", told, e.ItemID, made)
	}
	c.model.mu.Lock()
	c.model.cuts = append(c.model.cuts, cutOff{e.ItemID, made, told})
	c.model.mu.Unlock()
	c.say("conversation.item.truncated", object{"item_id": e.ItemID, "content_index": 0, "audio_end_ms": e.AudioEnd})
	return nil
}

// jitter is how long messages take on a network.
func jitter(seed uint64) func() time.Duration {
	rnd := rand.New(rand.NewPCG(seed, 3))
	return func() time.Duration {
		return 10*time.Millisecond + time.Duration(rnd.Int64N(int64(60*time.Millisecond)))
	}
}
