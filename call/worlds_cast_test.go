package call_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// part is one of a world's calls, or a batch of them: who calls whom, and what
// the two do.
type part struct {
	world *world
	n     int
	dice  *rand.Rand // of the one goroutine that begins the part
	kind  partKind
	agent agentKind
	start time.Duration
	count int  // calls of a batch
	rough bool // its streams have faults of their own

	person struct {
		behavior sim.Behavior
		says     []time.Duration
		pause    time.Duration
		keys     string
		leaves   time.Duration // after the answer; 0: not by itself
	}

	// Guarded by world.mu.
	said   time.Duration // by the person, to somebody who heard it
	spoken time.Duration // by the agent, and heard to its end
	moved  bool          // the caller was with somebody else, or on hold
}

type partKind int

const (
	outbound partKind = iota
	inbound
	visitor // in a browser
	batch
)

type agentKind int

const (
	greets agentKind = iota
	converses
	echoes
	panics
	fails
	stays
	hangsUp
	holds
	transfers
	transfersWarm
	pressesKeys
	handsOver
	agentKinds
)

// number is the telephone of the ith call of a part.
func (p *part) number(i int) string { return fmt.Sprintf("+1202555%d%d00", 1+p.n, i) }

// colleague is who takes over the caller of a part.
func (p *part) colleague() string { return fmt.Sprintf("+1202555%d090", 1+p.n) }

func (w *world) drawPart(n int) *part {
	p := &part{world: w, n: n, dice: rand.New(rand.NewPCG(w.seed, uint64(100+n))), count: 1}
	p.kind = []partKind{outbound, outbound, outbound, outbound, inbound, inbound, visitor, batch}[w.roll(8)]
	p.agent = agentKind(w.roll(int(agentKinds)))
	p.start = w.within(3 * time.Second)
	if p.kind == batch {
		p.count = 2 + w.roll(2)
		p.agent = greets
	}
	b := &p.person.behavior
	b.Ring = w.within(3 * time.Second)
	switch w.roll(10) {
	case 0:
		b.Outcome = sim.Busy
	case 1:
		b.Outcome, b.Ring = sim.NoAnswer, 0
	case 2:
		b.Outcome = sim.Failed
	}
	b.Talk = p.talk
	for range w.roll(3) {
		p.person.says = append(p.person.says, 200*time.Millisecond+w.within(time.Second))
	}
	p.person.pause = w.within(time.Second)
	if w.roll(4) == 0 {
		p.person.keys = "12#"
	}
	if w.roll(2) == 0 {
		p.person.leaves = 10*time.Millisecond + w.within(6*time.Second)
	}
	faults := w.mood.carrier
	if w.mood.text != " quiet" && w.roll(2) == 0 {
		faults, p.rough = w.strike(faults), true
	}
	for i := range p.count {
		phone := w.network.Phone(p.number(i))
		phone.Behave(*b)
		phone.SetFaults(faults)
	}
	w.network.Phone(p.colleague()).Behave(sim.Behavior{
		Ring: w.within(2 * time.Second), Outcome: sim.Outcome(w.roll(4)),
		Talk: func(t *sim.Talk) { w.rest(2*time.Second, t.Done()); t.Hangup() },
	})
	w.note("part %d: kind %d, agent %d, %+v, from %v, rough %v", n, p.kind, p.agent, p.person, p.start, p.rough)
	return p
}

// rest waits, unless something else ends.
func (w *world) rest(d time.Duration, end <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-end:
	}
}

// talk is what the person does who has answered, or called.
func (p *part) talk(t *sim.Talk) {
	if p.person.leaves > 0 {
		timer := time.AfterFunc(p.person.leaves, t.Hangup)
		defer timer.Stop()
	}
	if t.WaitConnected(20*time.Second) != nil {
		return
	}
	for _, d := range p.person.says {
		if t.Say(mark(personMark(p.n), d)) == nil {
			p.world.mu.Lock()
			p.said += d
			p.world.mu.Unlock()
		}
		p.world.rest(p.person.pause, t.Done())
	}
	_ = t.Press(p.person.keys) // fails when the call is over
	<-t.Done()
}

// happen begins the part.
func (p *part) happen() {
	w := p.world
	time.Sleep(p.start)
	w.mu.Lock()
	w.fired["calls"] += p.count
	w.mu.Unlock()
	switch p.kind {
	case inbound:
		if t, err := w.network.Phone(p.number(0)).Call(context.Background(), ours); err == nil {
			p.talk(t)
		}
	case visitor:
		p.visit()
	case batch:
		p.placeAll()
	default:
		p.place()
	}
}

func (p *part) request(i int) call.Request {
	return call.Request{
		AgentID: "agent", To: telephony.Number(p.number(i)), From: ours,
		Metadata:       map[string]string{"part": strconv.Itoa(p.n)},
		Options:        call.Options{Record: true, Transcribe: true},
		IdempotencyKey: fmt.Sprint(p.n, "-", i),
	}
}

// place places a call, asks for it again, and sometimes hangs up.
func (p *part) place() {
	w := p.world
	process := w.current()
	c, err := process.Place(context.Background(), p.request(0))
	p.took(process, err)
	if p.dice.IntN(3) == 0 {
		w.rest(time.Duration(p.dice.IntN(3000))*time.Millisecond, w.over)
		process = w.current()
		again, e := process.Place(context.Background(), p.request(0))
		w.fire("placed again")
		switch {
		case e == nil && err == nil && again.ID != c.ID:
			w.breaks("F29", "the same request made %s and %s", c.ID, again.ID)
		case e == nil && err != nil: // the first had not been taken, as far as we know
			p.took(process, e)
			c, err = again, nil
		}
	}
	if err != nil {
		w.note("part %d was not placed: %v", p.n, err)
		return
	}
	if p.dice.IntN(4) == 0 {
		w.rest(time.Duration(p.dice.IntN(8000))*time.Millisecond, w.over)
		w.fire("hung up by the host")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.current().Hangup(ctx, c.ID); err != nil && !errors.Is(err, call.ErrNotFound) {
			w.breaks("F14", "hang-up of %s: %v", c.ID, err)
		}
	}
}

// took notes what became of a request.
func (p *part) took(process *process, err error) {
	if err != nil || process.dead.Load() {
		return
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	process.placed++
}

func (p *part) placeAll() {
	w := p.world
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if p.dice.IntN(3) == 0 {
		w.fire("batch cut short")
		timer := time.AfterFunc(time.Duration(p.dice.IntN(20))*time.Millisecond, cancel)
		defer timer.Stop()
	}
	var reqs []call.Request
	for i := range p.count {
		reqs = append(reqs, p.request(i))
	}
	process := w.current()
	placements := process.PlaceAll(ctx, reqs)
	for i, placed := range placements {
		p.took(process, placed.Err)
		switch {
		case placed.Err == nil && placed.Call.To != reqs[i].To:
			w.breaks("F31", "result %d of a batch is that of another request", i)
		case placed.Err != nil && placed.Call != nil:
			w.breaks("F31", "result %d of a batch is a call and an error", i)
		}
	}
}

// visit is a browser that says something and goes.
func (p *part) visit() {
	w := p.world
	w.fire("browser")
	ticket, err := w.current().Invite(context.Background(), call.Invitation{
		AgentID: "agent", Metadata: map[string]string{"part": strconv.Itoa(p.n)},
	})
	if err != nil {
		return
	}
	dialer := websocket.Dialer{NetDialContext: w.network.DialContext, NetDialTLSContext: w.network.DialContext, HandshakeTimeout: 5 * time.Second}
	conn, resp, err := dialer.Dial("wss://calls.test/phone/ws/stream", http.Header{
		"Origin": {"https://calls.test"}, "Sec-Websocket-Protocol": {"ticket." + ticket.Ticket},
	})
	if err != nil {
		return
	}
	defer resp.Body.Close()
	defer conn.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"start","rate":8000}`))
	frame := make([]byte, 320)
	sound := mark(personMark(p.n), time.Second)
	buf := make([]int16, 160)
	for range 50 {
		n, _ := sound.ReadPCM(buf)
		for i, s := range buf[:n] {
			binary.LittleEndian.PutUint16(frame[2*i:], uint16(s))
		}
		if conn.WriteMessage(websocket.BinaryMessage, frame) != nil {
			break
		}
		w.rest(20*time.Millisecond, gone)
	}
	w.rest(time.Duration(p.dice.IntN(4000))*time.Millisecond, gone)
	_ = conn.Close()
	<-gone
}

// partOf is the part that a call belongs to, or nil for that of a colleague.
func (w *world) partOf(c *call.Call) *part {
	if n, err := strconv.Atoi(c.Metadata["part"]); err == nil {
		return w.parts[n]
	}
	for _, p := range w.parts {
		if c.Direction == telephony.Inbound && string(c.From) == p.number(0) {
			return p
		}
	}
	return nil
}

// say speaks with the part's tone, and keeps account of what was heard.
func (p *part) say(ctx context.Context, s *call.Session, d time.Duration) {
	speech := s.Say(call.Utterance{Audio: mark(agentMark(p.n), d), Text: "I have something to say."})
	heard, err := speech.Wait(ctx)
	if err != nil || heard.Status != call.HeardAll {
		return
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.spoken += heard.Duration
}

var errAgent = errors.New("something is wrong with me")

// serve is the agent of all calls.
func (w *world) serve(ctx context.Context, s *call.Session) error {
	if ctx.Err() == nil && s.Call().State >= call.Ending {
		if <-ctx.Done(); true { // it was just about to end
			return nil
		}
	}
	p := w.partOf(s.Call())
	if p == nil {
		return nil
	}
	dice := rand.New(rand.NewPCG(w.seed, uint64(200+p.n)))
	d := 100*time.Millisecond + time.Duration(dice.IntN(1500))*time.Millisecond
	set := func() {
		w.mu.Lock()
		p.moved = true
		w.mu.Unlock()
	}
	p.say(ctx, s, d)
	switch p.agent {
	case converses:
		line := s.Line(8000)
		_, _ = io.CopyN(io.Discard, pcmBytes{line}, int64(dice.IntN(32_000)))
		p.say(ctx, s, d)
	case echoes:
		set()
		return call.Echo.Serve(ctx, s)
	case panics:
		w.fire("agent panics")
		panic("agent")
	case fails:
		w.fire("agent fails")
		return errAgent
	case stays:
		w.fire("agent stays")
		<-ctx.Done()
		time.Sleep(time.Duration(dice.IntN(10)) * time.Second)
	case hangsUp:
		s.Speak(mark(agentMark(p.n), 2*time.Second))
		w.rest(time.Duration(dice.IntN(1000))*time.Millisecond, ctx.Done())
		s.Hangup()
		<-ctx.Done()
	case holds:
		w.fire("hold")
		set()
		if s.Hold(nil) == nil {
			w.rest(d, ctx.Done())
			_ = s.Resume() // fails at the end of the call
		}
		p.say(ctx, s, d)
	case transfers:
		w.fire("transfer")
		set()
		if s.Transfer(ctx, call.Transfer{To: telephony.Number(p.colleague()), Timeout: 5 * time.Second}) != nil {
			p.say(ctx, s, d)
		}
	case transfersWarm:
		w.fire("warm transfer")
		set()
		brief := call.AgentFunc(func(ctx context.Context, b *call.Session) error {
			w.rest(d, ctx.Done())
			if dice.IntN(3) == 0 {
				return call.ErrDeclined
			}
			return nil
		})
		if s.WarmTransfer(ctx, call.WarmTransfer{To: telephony.Number(p.colleague()), RingTimeout: 5 * time.Second, Brief: brief}) != nil {
			p.say(ctx, s, d)
		}
	case pressesKeys:
		w.fire("keys")
		set()
		_ = s.SendKeys(ctx, "1") // a broken stream has none
		p.say(ctx, s, d)
	case handsOver:
		_ = s.HandOver("other") // likewise
		<-ctx.Done()
	}
	return nil
}

// takeOver is the agent to whom calls are handed over.
func (w *world) takeOver(ctx context.Context, s *call.Session) error {
	if p := w.partOf(s.Call()); p != nil {
		p.say(ctx, s, time.Second)
	}
	return nil
}

// pcmBytes reads sound as bytes.
type pcmBytes struct{ audio.Reader }

func (r pcmBytes) Read(b []byte) (int, error) {
	pcm := make([]int16, max(1, len(b)/2))
	n, err := r.ReadPCM(pcm)
	return min(len(b), 2*n), err
}
