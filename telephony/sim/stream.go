package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
)

// A language is what is said on a stream. The append methods return one whole
// text message.
type language interface {
	// handshake returns the headers that the socket is opened with.
	handshake(address string) http.Header
	manners() *manners
	opening() [][]byte
	start(dst []byte) []byte
	media(dst []byte, chunk int, at time.Duration, payload []byte) []byte
	key(dst []byte, key byte) []byte
	mark(dst []byte, name string) []byte
	// cleared confirms a clear. It is not asked for where clears return marks.
	cleared(dst []byte) []byte
	// stop is the last message; empty for none.
	stop(dst []byte) []byte
	// read reads a message from the application.
	read(data []byte) (command, error)
}

// manners are what differs between streams, as data.
type manners struct {
	queue      time.Duration // of audio that may wait to be heard
	tries      int           // to connect
	query      bool          // the query of the URL is sent
	clearDrops bool          // a clear drops marks and is confirmed; otherwise it returns them
}

// A command is what the application wants on a stream: audio, a mark, a clear
// or keys.
type command struct {
	pcm  []int16 // in the rate of the stream
	text string  // the name of a mark, or keys
	kind commandKind
}

type commandKind uint8

const (
	playAudio commandKind = iota
	setMark
	clearAudio
	sendKeys
)

// A streamEvent is how a stream is doing.
type streamEvent uint8

const (
	streamStarted streamEvent = iota
	streamStopped
	streamFailed
	streamFilling // a further part of the queue is in use
)

// Bounds of a stream.
const (
	maxMessage   = 16 << 20
	maxMarks     = 100_000
	maxKeys      = 64
	openTime     = 15 * time.Second
	writeTime    = 5 * time.Second
	lastReadTime = time.Second // for the application's close message
)

// Numbers of the errors of a stream.
const (
	streamTimeout   = 31901
	streamRefused   = 31902
	streamBroken    = 31903
	streamHandshake = 31920
	streamClosed    = 31921
	streamScheme    = 31922
	streamURL       = 31923
	streamFull      = 31931
	streamMessage   = 31951
)

// streamError is why a stream failed.
type streamError struct {
	code int
	err  error
}

func (e *streamError) Error() string { return fmt.Sprintf("sim: stream: %d: %v", e.code, e.err) }
func (e *streamError) Unwrap() error { return e.err }

// A connect verb connects a call to a WebSocket of the application until the
// stream ends.
type connect struct {
	url          string
	name         string
	params       [][2]string
	format       audio.Format
	oneWay       bool          // the application only hears
	aside        bool          // the verbs that follow do not wait for the end
	limit        time.Duration // of the stream; 0 for none
	statusURL    string
	statusMethod string
	action       *instruction
}

func (v *connect) perform(ctx context.Context, c *call) (*instruction, error) {
	s, err := v.stream(c)
	if err != nil {
		return nil, err
	}
	if v.aside {
		return nil, c.carrier.start(func() { s.runAll(ctx) })
	}
	s.runAll(ctx)
	if ctx.Err() != nil {
		return nil, nil
	}
	return v.action, nil
}

// stream returns a stream that is not connected yet.
func (v *connect) stream(c *call) (*stream, error) {
	c.mu.Lock()
	c.streams++
	n := c.streams
	c.mu.Unlock()
	s := &stream{
		connect: v,
		call:    c,
		sid:     c.dialect.streamID(),
		faults:  &c.faults,
		chance:  c.faults.chance(c.ordinal, n),
		keys:    make(chan byte, maxKeys),
		gone:    make(chan struct{}),
		closed:  make(chan struct{}),
	}
	s.language = c.dialect.talk(s)
	s.ear = c.talking().ear
	s.mouth = &c.talking().mouth
	return s, s.resample()
}

// runAll is the life of a stream, and of the one that takes its place if it is
// connected anew.
func (s *stream) runAll(ctx context.Context) {
	s.run(ctx)
	if !s.again || ctx.Err() != nil {
		return
	}
	next, err := s.connect.stream(s.call)
	if err != nil {
		return // as it was with the first one
	}
	next.second = true
	next.run(ctx)
}

// resample makes the stream carry another rate than the phone's, if it does.
func (s *stream) resample() (err error) {
	if s.format.Rate == rate {
		return nil
	}
	if s.up, err = audio.NewResampler(rate, s.format.Rate); err != nil {
		return err
	}
	s.down, err = audio.NewResampler(s.format.Rate, rate)
	return err
}

// A stream is one WebSocket. The goroutine of the call writes, another reads.
type stream struct {
	*connect
	language
	call   *call
	sid    string
	faults *Faults
	chance chance
	ear    *ear
	mouth  *mouth
	conn   *websocket.Conn
	keys   chan byte
	gone   chan struct{} // closed when reading has ended
	closed chan struct{} // closed when writing has ended

	begun   time.Time
	frames  int           // 20 ms of audio that were taken
	gaps    time.Duration // by which timestamps have jumped
	swapped []byte        // a message to be sent after the next one
	held    [][]byte      // messages that are held
	release time.Time     // of held
	late    []mark
	mute    bool      // sends nothing any more
	stalled time.Time // sends nothing before that
	marked  bool      // a mark was due
	again   bool      // another stream takes its place
	second  bool      // it has taken the place of another one
	plan    []planned
	buf     []byte
	due     []mark
	up      *audio.Resampler // of what the phone says; nil if the rate is its own
	pcm     []int16          // that is sent
	payload []byte
	down    *audio.Resampler // of what it hears, likewise; only for the reader
	filled  int              // steps of fillings; only for the reader

	mu      sync.Mutex
	broken  error // why reading has ended
	deaf    bool
	overrun bool
}

// planned is something to do at a time.
type planned struct {
	at time.Time
	do func()
}

// run is the life of a stream.
func (s *stream) run(ctx context.Context) {
	defer s.call.begin() // if it cannot be opened
	if s.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.limit)
		defer cancel()
	}
	if err := s.open(ctx); err != nil {
		if ctx.Err() == nil {
			s.call.carrier.warn(err.code, "stream could not be opened", "call", s.call.sid, "error", err.err)
			s.call.dialect.streamed(s, streamFailed, err)
		}
		return
	}
	s.begun = time.Now()
	s.schedule()
	s.call.dialect.streamed(s, streamStarted, nil)
	talk := s.call.talking()
	s.mouth.listen(s.begun)
	talk.setKeys(s.pressed)
	s.call.begin()
	if s.call.carrier.start(s.read) != nil {
		close(s.gone)
	}
	err := s.serve(ctx)
	talk.setKeys(nil)
	s.mouth.unlisten()
	s.ear.dropMarks()
	s.ear.clear(time.Now())
	s.close(err == nil)
	var problem *streamError
	if errors.As(err, &problem) {
		s.call.carrier.warn(problem.code, "stream failed", "call", s.call.sid, "error", problem.err)
		s.call.dialect.streamed(s, streamFailed, problem)
		return
	}
	s.call.dialect.streamed(s, streamStopped, nil)
}

// address checks the URL of a stream and returns it as it is requested.
func (s *stream) address() (string, *streamError) {
	u, err := url.Parse(s.url)
	if err != nil || u.Host == "" {
		return "", &streamError{streamURL, fmt.Errorf("not the URL of a socket: %q", s.url)}
	}
	plain := s.call.carrier.config.Dial != nil || loopback(u.Hostname())
	if u.Scheme != "wss" && (u.Scheme != "ws" || !plain) {
		return "", &streamError{streamScheme, fmt.Errorf("scheme is %q; want wss", u.Scheme)}
	}
	u.Fragment, u.RawFragment = "", ""
	if !s.manners().query {
		u.RawQuery, u.ForceQuery = "", false
	}
	return u.String(), nil
}

// open connects, as often as is tried.
func (s *stream) open(ctx context.Context) *streamError {
	address, problem := s.address()
	if problem != nil {
		return problem
	}
	for range s.manners().tries {
		if problem = s.connectTo(ctx, address); problem == nil || ctx.Err() != nil {
			break
		}
	}
	return problem
}

func (s *stream) connectTo(ctx context.Context, address string) *streamError {
	carrier := s.call.carrier
	dialer := websocket.Dialer{
		NetDialContext:   carrier.dial,
		TLSClientConfig:  carrier.config.TLS,
		HandshakeTimeout: openTime,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,
	}
	if carrier.inTheClear() {
		dialer.NetDialTLSContext = carrier.dial
	}
	conn, resp, err := dialer.DialContext(ctx, address, s.handshake(address))
	switch {
	case errors.Is(err, websocket.ErrBadHandshake):
		return &streamError{streamHandshake, fmt.Errorf("handshake was answered with HTTP %d", resp.StatusCode)}
	case errors.Is(err, context.DeadlineExceeded):
		return &streamError{streamTimeout, err}
	case err != nil:
		return &streamError{streamRefused, err}
	}
	conn.SetReadLimit(maxMessage)
	s.conn = conn
	for _, m := range s.opening() {
		if err := s.write(m); err != nil {
			_ = conn.Close() // the first error is the one to tell
			return &streamError{streamBroken, err}
		}
	}
	return nil
}

func (s *stream) write(message []byte) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime)) // a closed socket fails below
	return s.conn.WriteMessage(websocket.TextMessage, message)
}

// schedule plans the faults that have a time.
func (s *stream) schedule() {
	at := func(after time.Duration, fault string, do func()) {
		if after > 0 {
			s.plan = append(s.plan, planned{s.begun.Add(after), func() {
				s.call.carrier.fire(fault)
				do()
			}})
		}
	}
	cut := func() { _ = s.conn.NetConn().Close() }
	at(s.faults.StopAfter, FaultStop, func() {
		if stop := s.stop(nil); len(stop) > 0 {
			_ = s.write(stop) // it is cut in any case
		}
		cut()
	})
	if !s.second {
		at(s.faults.ReconnectAfter, FaultReconnect, func() {
			s.again = true
			cut()
		})
	}
	at(s.faults.StallAfter, FaultStall, func() { s.stalled = time.Now().Add(orElse(s.faults.StallTime, 3*time.Second)) })
	at(s.faults.CutAfter, FaultCut, cut)
	at(s.faults.DeafAfter, FaultDeaf, s.stopReading)
	at(s.faults.HalfOpenAfter, FaultHalfOpen, func() {
		s.stopReading()
		s.mute = true
	})
	at(s.faults.SecondStartAfter, FaultSecondStart, func() { _ = s.write(s.start(nil)) }) // the next write fails as well
}

// stopReading makes the reader wait for the end of the stream.
func (s *stream) stopReading() {
	s.mu.Lock()
	s.deaf = true
	s.mu.Unlock()
	_ = s.conn.SetReadDeadline(time.Now()) // wakes it
}

// serve writes until the stream ends. It returns nil when it was the carrier who
// ended it, and otherwise why it ended: a *streamError, or errStreamClosed.
func (s *stream) serve(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		mark, marks, changed := s.ear.next()
		at := s.tick(s.frames + 1)
		if marks && mark.Before(at) {
			at = mark
		}
		for _, l := range s.late {
			if l.at.Before(at) {
				at = l.at
			}
		}
		keys := s.keys
		if at.Before(s.stalled) {
			at, keys = s.stalled, nil
		}
		for _, p := range s.plan {
			if p.at.Before(at) {
				at = p.at
			}
		}
		timer.Reset(time.Until(at))
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-s.gone:
			return s.reason()
		case k := <-keys:
			err = s.send(s.key(s.buf[:0], k))
		case <-changed:
		case <-timer.C:
		}
		if err == nil {
			err = s.act(time.Now())
		}
		if err != nil {
			return s.writeError(ctx, err)
		}
	}
}

// writeError is why the stream ended, after a write failed. A write to a closed
// socket tells little, so the reader, which sees how it was closed, may speak
// first.
func (s *stream) writeError(ctx context.Context, err error) error {
	timer := time.NewTimer(lastReadTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-s.gone:
		return s.reason()
	case <-timer.C:
		return &streamError{streamBroken, err}
	}
}

// act does all that is due.
func (s *stream) act(now time.Time) error {
	for i := 0; i < len(s.plan); {
		if s.plan[i].at.After(now) {
			i++
			continue
		}
		do := s.plan[i].do
		s.plan = append(s.plan[:i], s.plan[i+1:]...)
		do()
	}
	if now.Before(s.stalled) {
		return nil
	}
	if err := s.sendMarks(now); err != nil {
		return err
	}
	for !s.tick(s.frames + 1).After(now) {
		if err := s.sendFrame(now); err != nil {
			return err
		}
	}
	return nil
}

// tick is when the carrier's clock has counted so many frames.
func (s *stream) tick(frames int) time.Time {
	counted := time.Duration(frames) * frame
	return s.begun.Add(counted - time.Duration(float64(counted)*s.faults.ClockDrift/(1e6+s.faults.ClockDrift)))
}

// send sends m, unless the stream is half open.
func (s *stream) send(m []byte) error {
	s.buf = m
	if s.mute {
		return nil
	}
	return s.write(m)
}

func (s *stream) sendMarks(now time.Time) error {
	for i := 0; i < len(s.late); {
		if s.late[i].at.After(now) {
			i++
			continue
		}
		name := s.late[i].name
		s.late = append(s.late[:i], s.late[i+1:]...)
		if err := s.send(s.mark(s.buf[:0], name)); err != nil {
			return err
		}
	}
	s.due = s.ear.due(now, s.due[:0])
	for _, m := range s.due {
		if m.cleared {
			if err := s.send(s.cleared(s.buf[:0])); err != nil {
				return err
			}
			continue
		}
		if s.faults.FirstMarkLost && !s.marked {
			s.marked = true
			s.call.carrier.fire(FaultMarkFirst)
			continue
		}
		lost, doubled, late := s.chance.hits(s.faults.MarkLost), s.chance.hits(s.faults.MarkDoubled), s.chance.hits(s.faults.MarkLate)
		times := 1
		switch {
		case lost:
			s.call.carrier.fire(FaultMarkLost)
			continue
		case late:
			s.call.carrier.fire(FaultMarkLate)
			s.late = append(s.late, mark{name: m.name, at: now.Add(orElse(s.faults.MarkDelay, 500*time.Millisecond))})
			continue
		case doubled:
			s.call.carrier.fire(FaultMarkDoubled)
			times = 2
		}
		for range times {
			if err := s.send(s.mark(s.buf[:0], m.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wobble makes timestamps as irregular as real ones, in milliseconds.
var wobble = [...]time.Duration{0, 1, 0, 2}

// sendFrame sends the next 20 ms of what the person says.
func (s *stream) sendFrame(now time.Time) error {
	var said [160]int16
	s.mouth.take(s.tick(s.frames), said[:])
	pcm := said[:]
	if s.up != nil {
		s.pcm = s.up.Append(s.pcm[:0], pcm)
		pcm = s.pcm
	}
	s.payload = audio.AppendEncode(s.payload[:0], s.format.Encoding, pcm)

	f, c := s.faults, s.call.carrier
	lost, doubled, swapped := s.chance.hits(f.FrameLost), s.chance.hits(f.FrameDoubled), s.chance.hits(f.FrameSwapped)
	held, gap := s.chance.hits(f.FrameHeld), s.chance.hits(f.FrameGap)
	if gap {
		c.fire(FaultFrameGap)
		s.gaps += orElse(f.GapTime, time.Second)
	}
	at := time.Duration(s.frames)*frame + (5+wobble[s.frames%len(wobble)])*time.Millisecond + s.gaps
	s.frames++
	m := s.media(s.buf[:0], s.frames, at, s.payload)
	s.buf = m
	if !lost && !doubled && !swapped && !held && s.swapped == nil && s.held == nil {
		return s.send(m)
	}
	if held && s.held == nil {
		c.fire(FaultFrameHeld)
		s.held = [][]byte{}
		s.release = now.Add(orElse(f.HoldTime, 200*time.Millisecond))
	}
	var out [][]byte
	switch {
	case lost:
		c.fire(FaultFrameLost)
	case swapped && s.swapped == nil:
		c.fire(FaultFrameSwapped)
		s.swapped = append([]byte(nil), m...)
	case doubled:
		c.fire(FaultFrameDoubled)
		out = [][]byte{m, m}
	default:
		out = [][]byte{m}
	}
	if len(out) > 0 && s.swapped != nil {
		out = append(out, s.swapped)
		s.swapped = nil
	}
	if s.held != nil {
		for _, m := range out {
			s.held = append(s.held, append([]byte(nil), m...))
		}
		if now.Before(s.release) {
			return nil
		}
		out, s.held = s.held, nil
	}
	for _, m := range out {
		if s.mute {
			break
		}
		if err := s.write(m); err != nil {
			return err
		}
	}
	return nil
}

// pressed is where keys go while the stream lasts.
func (s *stream) pressed(keys string) {
	for _, k := range []byte(keys) {
		select {
		case s.keys <- k:
		case <-s.gone:
		case <-s.call.ctx.Done():
		}
	}
}

// close ends the socket: with a stop and a close message, if the carrier is the
// one who ends it. The reader waits for the answer and closes the connection.
func (s *stream) close(ours bool) {
	defer close(s.closed)
	if s.mute || !ours {
		_ = s.conn.NetConn().Close()
		return
	}
	deadline := time.Now().Add(lastReadTime)
	_ = s.conn.SetReadDeadline(deadline)
	stop := s.stop(s.buf[:0])
	if len(stop) == 0 || s.write(stop) == nil {
		_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	}
}

// read carries out what the application sends, until the socket is closed.
func (s *stream) read() {
	defer func() { _ = s.conn.Close() }()
	err := s.readAll()
	s.mu.Lock()
	s.broken = err
	deaf := s.deaf
	s.mu.Unlock()
	if deaf {
		<-s.closed
	}
	close(s.gone)
}

func (s *stream) readAll() error {
	for {
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		s.obey(time.Now(), kind, data)
	}
}

// obey carries out one message.
func (s *stream) obey(now time.Time, kind int, data []byte) {
	cmd, err := command{}, errors.New("binary message")
	if kind == websocket.TextMessage {
		cmd, err = s.language.read(data)
	}
	if err != nil {
		s.call.carrier.warn(streamMessage, "message on a stream makes no sense", "call", s.call.sid, "error", err)
		return
	}
	switch cmd.kind {
	case playAudio:
		if s.down != nil {
			cmd.pcm = s.down.Append(nil, cmd.pcm)
		}
		s.play(now, cmd.pcm)
	case sendKeys:
		s.call.talking().addKeys(keysOf(cmd.text))
		s.play(now, dialTones(cmd.text))
	case setMark:
		if !s.ear.mark(now, cmd.text) {
			s.overflow()
		}
	case clearAudio:
		if s.down != nil {
			s.down.Reset()
		}
		if s.manners().clearDrops {
			s.ear.discard(now)
		} else {
			s.ear.clear(now)
		}
	}
}

// play queues pcm as far as there is room.
func (s *stream) play(now time.Time, pcm []int16) {
	most := s.manners().queue
	room := samplesIn(most - s.ear.queued(now))
	if len(pcm) > room {
		pcm = pcm[:max(0, room)]
		s.overflow()
	}
	s.ear.play(now, pcm)
	queued := s.ear.queued(now)
	for s.filled < len(fillings) && queued >= most/100*fillings[s.filled] {
		s.filled++
		s.call.dialect.streamed(s, streamFilling, nil)
	}
}

// fillings are the parts of the queue, in percent, of which is told, once each,
// when they are in use.
var fillings = [...]time.Duration{30, 60, 90}

// overflow warns once that something was thrown away.
func (s *stream) overflow() {
	s.mu.Lock()
	first := !s.overrun
	s.overrun = true
	s.mu.Unlock()
	if first {
		s.call.carrier.warn(streamFull, "too much audio waits to be heard; the rest is thrown away", "call", s.call.sid)
	}
}

// errStreamClosed tells that the application closed the stream in order.
var errStreamClosed = errors.New("sim: stream was closed by the application")

// reason is why reading has ended.
func (s *stream) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken == nil:
		return nil
	case websocket.IsCloseError(s.broken, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived):
		return errStreamClosed
	}
	return &streamError{streamClosed, s.broken}
}
