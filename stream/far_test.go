package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/switchboard-voice/switchboard/audio"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a protocol for tests, one line of text a message, with all that
// carriers have: numbers, timestamps, base64 and marks.
type lines struct{ traits Traits }

func newLines() lines {
	return lines{Traits{
		Formats:    []audio.Format{audio.Telephone, {Encoding: audio.PCM16, Rate: 16000}},
		Packet:     20 * time.Millisecond,
		NeedsStart: true,
		Marks:      true,
		Buffer:     10 * time.Minute,
	}}
}

// returning is lines whose clear returns all marks.
func returning() lines {
	l := newLines()
	l.traits.ClearReturnsMarks = true
	return l
}

func (l lines) Traits() Traits { return l.traits }

func (lines) AppendMedia(dst []byte, id string, _ audio.Format, payload []byte) []byte {
	dst = append(dst, "media "...)
	return base64.StdEncoding.AppendEncode(dst, payload)
}

func (lines) AppendMark(dst []byte, _ string, mark uint32) []byte {
	return strconv.AppendUint(append(dst, "mark "...), uint64(mark), 10)
}

func (lines) AppendClear(dst []byte, _ string) []byte { return append(dst, "clear"...) }

func (lines) AppendKeys(dst []byte, _ string, keys string) []byte {
	return append(append(dst, "keys "...), keys...)
}

var startMuLaw = []byte("start mulaw")

func (lines) Decode(m *Message, data []byte, binary bool) error {
	word, rest, _ := bytes.Cut(data, []byte(" "))
	switch string(word) {
	case "start":
		m.Kind, m.StreamID, m.Format = KindStart, "s1", audio.Telephone
		switch string(rest) {
		case "mulaw":
		case "linear":
			m.Format = audio.Format{Encoding: audio.PCM16, Rate: 16000}
		default:
			m.Format = audio.Format{Rate: 11025}
		}
	case "media": // media sequence chunk milliseconds base64
		var n [3]int64
		for i := range n {
			var field []byte
			field, rest, _ = bytes.Cut(rest, []byte(" "))
			v, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return fmt.Errorf("%w: number", ErrMessage)
			}
			n[i] = v
		}
		size, err := base64.StdEncoding.Decode(rest, rest)
		if err != nil {
			return fmt.Errorf("%w: payload", ErrMessage)
		}
		m.Kind, m.Sequence, m.Chunk, m.Payload = KindMedia, n[0], n[1], rest[:size]
		m.Timestamp = time.Duration(n[2]) * time.Millisecond
	case "mark":
		v, err := strconv.ParseUint(string(rest), 10, 32)
		if err != nil {
			return fmt.Errorf("%w: mark", ErrMessage)
		}
		m.Kind, m.Mark = KindMark, uint32(v)
	case "key":
		if len(rest) != 1 {
			return fmt.Errorf("%w: key", ErrMessage)
		}
		m.Kind, m.Digit = KindKey, rest[0]
	case "cleared":
		m.Kind = KindCleared
	case "stop":
		m.Kind = KindStop
	case "hello":
	default:
		return fmt.Errorf("%w: %q", ErrMessage, word)
	}
	return nil
}

func appendInbound(dst []byte, sequence, chunk, ms int64, payload []byte) []byte {
	dst = append(dst, "media "...)
	for _, n := range []int64{sequence, chunk, ms} {
		dst = append(strconv.AppendInt(dst, n, 10), ' ')
	}
	return base64.StdEncoding.AppendEncode(dst, payload)
}

// pipeWriter hands one end of a pipe to whoever hijacks it.
type pipeWriter struct {
	header http.Header
	conn   net.Conn
	code   int
}

func (w *pipeWriter) Header() http.Header         { return w.header }
func (w *pipeWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *pipeWriter) WriteHeader(code int)        { w.code = code }
func (w *pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// connect makes a Conn and the client of it, over a pipe.
func connect(t testing.TB, g *Gate, p Protocol) (*Conn, *websocket.Conn) {
	near, far := net.Pipe()
	accepted := make(chan *Conn, 1)
	go func() {
		defer close(accepted)
		r, err := http.ReadRequest(bufio.NewReader(near))
		if err != nil {
			return
		}
		c, err := g.Accept(&pipeWriter{header: http.Header{}, conn: near}, r, Upgrade{Protocol: p})
		if err != nil {
			near.Close()
			return
		}
		accepted <- c
	}()
	ws := dial(t, far)
	c, ok := <-accepted
	if !ok {
		t.Fatal("not accepted")
	}
	return c, ws
}

// dial upgrades a connection from the client's side.
func dial(t testing.TB, conn net.Conn) *websocket.Conn {
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return conn, nil }}
	ws, resp, err := dialer.Dial("ws://calls.test/media", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return ws
}

// spoke is audio that the far end was given to play.
type spoke struct {
	payload []byte
	at      time.Duration
}

// A far is the far end of a stream: it plays what it is given by a clock of its
// own, returns marks and keeps everything. Its fields are set before listen.
type far struct {
	t     testing.TB
	ws    *websocket.Conn
	epoch time.Time
	width int
	rate  int

	returnsMarks bool                              // on a clear
	answer       func(mark string) []time.Duration // delays of the answers to a mark; nil: one, at once
	delay        time.Duration                     // of the network, each way

	writing sync.Mutex
	mu      sync.Mutex
	end     time.Duration
	said    []spoke
	marks   []*farMark
	pings   int
	most    time.Duration // unplayed, at most
	clears  int
	other   []string
	code    int
	done    chan struct{}
	echoed  func(payload []byte)
}

type farMark struct {
	name string
	at   time.Duration
	off  bool
}

func newFar(t testing.TB, ws *websocket.Conn) *far {
	return &far{t: t, ws: ws, epoch: time.Now(), width: 1, rate: 8000, done: make(chan struct{})}
}

func (f *far) now() time.Duration { return time.Since(f.epoch) }

func (f *far) send(text string) {
	f.sendBytes([]byte(text))
}

func (f *far) sendBytes(b []byte) { f.write(websocket.TextMessage, b) }

func (f *far) write(opcode int, b []byte) {
	f.writing.Lock()
	defer f.writing.Unlock()
	_ = f.ws.WriteMessage(opcode, b) // the other side may be gone
}

// packets is how many pieces of audio have come.
func (f *far) packets() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.said)
}

func (f *far) listen() {
	defer close(f.done)
	type packet struct {
		data []byte
		due  time.Time
	}
	underway := make(chan packet, 1000)
	defer close(underway)
	go func() { // the network
		for p := range underway {
			time.Sleep(time.Until(p.due))
			f.take(p.data)
		}
	}()
	f.ws.SetPingHandler(func(s string) error {
		f.mu.Lock()
		f.pings++
		f.mu.Unlock()
		f.write(websocket.PongMessage, []byte(s))
		return nil
	})
	f.ws.SetCloseHandler(func(code int, _ string) error {
		f.mu.Lock()
		f.code = code
		f.mu.Unlock()
		f.write(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
		return nil
	})
	for {
		_, data, err := f.ws.ReadMessage()
		if err != nil {
			return
		}
		if f.delay > 0 {
			underway <- packet{data, time.Now().Add(f.delay)}
			continue
		}
		f.take(data)
	}
}

func (f *far) take(data []byte) {
	word, rest, _ := bytes.Cut(data, []byte(" "))
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	switch string(word) {
	case "media":
		payload, err := base64.StdEncoding.DecodeString(string(rest))
		if err != nil {
			f.t.Errorf("media: %v", err)
		}
		f.end = max(f.end, now)
		f.said = append(f.said, spoke{payload, f.end})
		f.end += audio.Duration(len(payload)/f.width, f.rate)
		f.most = max(f.most, f.end-now)
		if f.echoed != nil {
			f.echoed(payload)
		}
	case "mark":
		m := &farMark{name: string(rest), at: max(f.end, now)}
		f.marks = append(f.marks, m)
		delays := []time.Duration{0}
		if f.answer != nil {
			delays = f.answer(m.name)
		}
		for _, d := range delays {
			time.AfterFunc(m.at-now+d+f.delay, func() {
				f.mu.Lock()
				off := m.off
				f.mu.Unlock()
				if !off {
					f.send("mark " + m.name)
				}
			})
		}
	case "clear":
		f.clears++
		for i := range f.said {
			s := &f.said[i]
			played := audio.Samples(max(0, now-s.at), f.rate) * f.width
			s.payload = s.payload[:min(len(s.payload), played)]
		}
		for _, m := range f.marks {
			if m.at > now && !m.off {
				m.off = true
				if f.returnsMarks {
					go f.send("mark " + m.name)
				}
			}
		}
		f.end = min(f.end, now)
	default:
		f.other = append(f.other, string(data))
	}
}

// heard is what has been played by now.
func (f *far) heard() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var all []byte
	for _, s := range f.said {
		n := audio.Samples(max(0, now-s.at), f.rate) * f.width
		all = append(all, s.payload[:min(len(s.payload), n)]...)
	}
	return all
}

func (f *far) samplesHeard() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, all := f.now(), 0
	for _, s := range f.said {
		all += min(len(s.payload)/f.width, audio.Samples(max(0, now-s.at), f.rate))
	}
	return int64(all)
}

// story is a Handler that keeps what it is told.
type story struct {
	c       *Conn
	refuse  error
	onFrame func(f *audio.Frame)

	mu       sync.Mutex
	started  chan struct{}
	start    Start
	keys     []byte
	texts    []string
	in       int64 // samples
	filled   int64
	inEnd    time.Duration
	out      []byte
	outEnd   time.Duration
	outGaps  int
	heard    []heardAt
	problems []string
}

type heardAt struct {
	pos       int64
	confirmed bool
	at        time.Time
}

func newStory(c *Conn) *story { return &story{c: c, started: make(chan struct{})} }

func (s *story) Start(start Start) error {
	s.start = start
	close(s.started)
	return s.refuse
}

func (s *story) WriteFrame(f *audio.Frame) {
	s.mu.Lock()
	end := &s.inEnd
	if f.Track == audio.Outbound {
		end = &s.outEnd
		s.out = append(s.out, f.Payload...)
		if f.At > *end {
			s.outGaps++
		}
	} else {
		s.in += int64(len(f.PCM))
		if f.Filled {
			s.filled += int64(len(f.PCM))
		}
	}
	if f.At < *end {
		s.problems = append(s.problems, fmt.Sprintf("%v frame at %v overlaps %v", f.Track, f.At, *end))
	}
	if f.Duration() > maxFrame || len(f.PCM) == 0 {
		s.problems = append(s.problems, fmt.Sprintf("%v frame of %v", f.Track, f.Duration()))
	}
	*end = f.At + f.Duration()
	s.mu.Unlock()
	if s.onFrame != nil {
		s.onFrame(f)
	}
}

func (s *story) Key(digit byte, _ time.Duration) { s.keys = append(s.keys, digit) }
func (s *story) Text(b []byte)                   { s.texts = append(s.texts, string(b)) }

func (s *story) Heard(pos int64, confirmed bool) {
	s.c.Position() // may use the Conn
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, heardAt{pos, confirmed, time.Now()})
}

// line is a running stream in a test.
type line struct {
	*Conn
	t     testing.TB
	gate  *Gate
	far   *far
	story *story
	ended chan error
}

// newLine starts a stream up to before its start message.
func newLine(t testing.TB, g *Gate, p Protocol) *line {
	c, ws := connect(t, g, p)
	l := &line{Conn: c, t: t, gate: g, far: newFar(t, ws), story: newStory(c), ended: make(chan error, 1)}
	l.far.returnsMarks = p.Traits().ClearReturnsMarks
	return l
}

func (l *line) run(ctx context.Context) *line {
	go func() { l.ended <- l.Run(ctx, l.story) }()
	go l.far.listen()
	return l
}

func (l *line) begin() *line {
	l.run(context.Background())
	l.far.send("start mulaw")
	<-l.story.started
	return l
}

// finish ends the stream from the far end and checks that it was orderly.
func (l *line) finish() {
	l.t.Helper()
	l.far.send("stop")
	if err := <-l.ended; err != nil {
		l.t.Errorf("Run: %v", err)
	}
	l.hangUp()
	for _, p := range l.story.problems {
		l.t.Error(p)
	}
}

func (l *line) hangUp() {
	l.far.ws.Close()
	<-l.far.done
	l.gate.Close()
}

// speech is n samples that all differ from their neighbours, as mu-law codes
// that survive decoding and encoding.
func speech(from, n int) (codes []byte, pcm []int16) {
	codes = make([]byte, n)
	for i := range codes {
		c := byte((from + i) % 251)
		if c == 0x7F { // the one code that does not survive
			c = 0x80
		}
		codes[i] = c
	}
	return codes, audio.AppendDecode(nil, audio.MuLaw, codes)
}
