package call_test

import (
	"context"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// judge looks at what a world has left, from outside: the store, the carrier's
// books, the recordings, the figures, and what subscribers and plugs were told.
func (w *world) judge() {
	records, err := w.records.List(context.Background(), call.Filter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	books := w.network.Carrier.Calls()
	for _, c := range records {
		w.fired["ended "+c.State.String()]++
		w.fired["cause "+string(c.Cause)]++
		w.judgeLog(c)
		w.judgeLeg(c, books)
		w.judgeCleanup(c)
		w.judgeSound(c)
		w.judgeWords(c)
	}
	w.judgeBooks(books)
	w.judgeFigures(records)
}

// judgeLog: one terminal state, states in order, each once, events without gaps,
// the same for subscribers as in the store.
func (w *world) judgeLog(c *call.Call) {
	if !c.State.Terminal() {
		if w.unsaved.Load() {
			return // the next process takes it up
		}
		w.breaks("L4", "%s is left %v", c.ID, c.State)
		return
	}
	events, err := w.records.Events(context.Background(), c.ID, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if int64(len(events)) != c.Events {
		w.breaks("S1", "%s has %d events, and the last has the number %d", c.ID, len(events), c.Events)
	}
	last := call.State(0)
	for i, e := range events {
		switch {
		case e.Seq != int64(i+1):
			w.breaks("S1", "%s: event %d has the number %d", c.ID, i+1, e.Seq)
		case e.Type != call.EventState:
		case i > 0 && e.State <= last:
			w.breaks("S2", "%s: %v after %v", c.ID, e.State, last)
		case e.State.Terminal() && (last != call.Ending || i != len(events)-1):
			w.breaks("S1", "%s: %v after %v, event %d of %d", c.ID, e.State, last, i+1, len(events))
		default:
			last = e.State
		}
		if e.Type == call.EventState {
			last = e.State
		}
	}
	if last != c.State {
		w.breaks("S1", "%s is %v, and its events end with %v", c.ID, c.State, last)
	}
	for n, p := range w.processes {
		heard := p.heard[c.ID]
		for i, e := range heard {
			if i > 0 && e.Seq != heard[i-1].Seq+1 {
				w.breaks("S1", "%s: a subscriber heard event %d after %d", c.ID, e.Seq, heard[i-1].Seq)
			}
			if n == len(w.processes)-1 && (e.Seq > int64(len(events)) || events[e.Seq-1].Type != e.Type || events[e.Seq-1].State != e.State) {
				w.breaks("S1", "%s: event %d is another one in the store", c.ID, e.Seq)
			}
		}
		if len(w.processes) == 1 && len(heard) != len(events) {
			w.breaks("S1", "%s: a subscriber heard %d of %d events", c.ID, len(heard), len(events))
		}
	}
}

// legsOf are the carrier's calls that are the call's, or that it may have placed.
func legsOf(c *call.Call, books []sim.CallInfo) (legs []sim.CallInfo) {
	for _, k := range books {
		if k.ParentSID == "" && k.Direction == c.Direction && k.To == c.To && (c.Direction == telephony.Outbound || k.From == c.From) {
			legs = append(legs, k)
		}
	}
	return legs
}

// judgeLeg compares the record with the carrier's books.
func (w *world) judgeLeg(c *call.Call, books []sim.CallInfo) {
	if c.Provider == "browser" {
		return
	}
	legs := legsOf(c, books)
	if len(legs) > 1 {
		w.breaks("S3", "%s was dialed %d times", c.ID, len(legs))
	}
	answered, talked := false, false
	for _, k := range legs {
		answered = answered || !k.Answered.IsZero()
		// Carriers count seconds. Whether somebody has picked up at the moment at which
		// we hang up cannot be told from what they say.
		talked = talked || !k.Answered.IsZero() && k.Ended.Sub(k.Answered) >= time.Second
		if c.ProviderCallID != "" && c.ProviderCallID != k.SID && c.ProviderCallID != k.RequestID {
			w.breaks("E4", "%s has the leg %s, and not %s", c.ID, c.ProviderCallID, k.SID)
		}
	}
	for _, k := range legs {
		if left := k.Ended.Sub(c.EndedAt); left > 2*time.Second && c.Cause != call.Transferred && !w.mood.deaf() && len(w.processes) == 1 {
			w.breaks("E2", "%s: the carrier's call stood for %v after the end", c.ID, left)
		}
	}
	switch {
	case c.State == call.Completed && !answered:
		w.breaks("S2", "%s is completed, and nobody has picked up", c.ID)
	case c.State != call.Completed && talked && !w.mood.blind() && len(w.processes) == 1:
		w.breaks("S2", "%s is %v (%s), and somebody has picked up", c.ID, c.State, c.Cause)
	}
	if d := c.Duration(c.EndedAt); d > w.limits.duration+time.Second && len(w.processes) == 1 {
		w.breaks("S17", "%s lasted %v", c.ID, d)
	}
}

// judgeBooks: no leg stands, none was dialed without being allowed, or after the
// end of the service.
func (w *world) judgeBooks(books []sim.CallInfo) {
	dialed := make(map[string]int)
	for _, k := range books {
		if !k.Status.Final() {
			w.breaks("E2", "the carrier's call %s is left %v", k.SID, k.Status)
		}
		if k.Direction == telephony.Outbound || k.ParentSID != "" {
			dialed[string(k.To)]++
		}
		p := w.processes[len(w.processes)-1]
		if end := p.drained; !end.IsZero() && k.Direction == telephony.Outbound && k.ParentSID == "" && k.Created.Sub(end) > w.limits.ring+40*time.Second {
			w.breaks("S21", "%s was dialed %v after the drain began", k.SID, k.Created.Sub(end))
		}
	}
	for number, n := range dialed {
		if n > w.legs[number] {
			w.breaks("S22", "%s was dialed %d times and allowed %d times", number, n, w.legs[number])
		}
	}
}

// judgeCleanup: recording, transcript, record, each once, in this order.
func (w *world) judgeCleanup(c *call.Call) {
	order := []string{"recording", "transcript", "record"}
	at, seen := 0, map[string]int{}
	for _, what := range w.ends[c.ID] {
		seen[what]++
		i := slices.Index(order, what)
		if i < at {
			w.breaks("S4", "%s was cleaned up in the order %q", c.ID, w.ends[c.ID])
			return
		}
		at = i
	}
	if len(w.processes) == 1 && (seen["recording"] > 1 || seen["transcript"] > 1) {
		w.breaks("S4", "%s was cleaned up in the order %q", c.ID, w.ends[c.ID])
	}
}

// judgeSound: on a recording is who was on the call, and nobody else, and all of
// what they said.
func (w *world) judgeSound(c *call.Call) {
	p := w.partOf(c)
	if p == nil || c.Recording == nil {
		return
	}
	f, err := w.disk.Open(context.Background(), c.Recording.Key)
	if err != nil {
		w.breaks("S7", "%s: %v", c.ID, err)
		return
	}
	caller, agent, err := tracksOf(f)
	if err != nil {
		w.breaks("S7", "%s: %v", c.ID, err)
		return
	}
	length := time.Duration(len(caller)) * time.Second / 8000
	if c.Recording.Truncated || (c.Recording.Duration-length).Abs() > time.Millisecond {
		w.breaks("S7", "%s: recorded %v, told of %v, truncated %v", c.ID, length, c.Recording.Duration, c.Recording.Truncated)
	}
	own, theirs := (personMark(p.n)-firstMark)/markStep, (agentMark(p.n)-firstMark)/markStep
	heard, spoken := marksIn(caller), marksIn(agent)
	for m, d := range heard {
		if m != own {
			w.breaks("S7", "%s: %v of tone %v on the caller's track, which is %v", c.ID, d, m, own)
		}
	}
	for m, d := range spoken {
		if m != theirs && m != (holdMark-firstMark)/markStep && !(p.agent == echoes && m == own) {
			w.breaks("S7", "%s: %v of tone %v on the agent's track, which is %v", c.ID, d, m, theirs)
		}
	}
	if p.count > 1 || p.moved || p.rough || len(w.processes) > 1 || w.mood.carrier.FrameLost+w.mood.carrier.FrameDoubled+
		w.mood.carrier.FrameSwapped+w.mood.carrier.FrameHeld+w.mood.carrier.FrameGap > 0 {
		return
	}
	const edge = 120 * time.Millisecond // what the search for tones may miss at the ends of each
	w.fired["recordings measured"]++
	if lost := p.said - heard[own]; lost > edge*time.Duration(len(p.person.says)) {
		w.breaks("S7", "%s: the caller said %v, of which %v is missing", c.ID, p.said, lost)
	}
	if lost := p.spoken - spoken[theirs]; lost > 3*edge {
		w.breaks("S7", "%s: the agent was heard for %v, of which %v is missing", c.ID, p.spoken, lost)
	}
}

// judgeWords: each word that was heard is in the transcript, once, in order.
func (w *world) judgeWords(c *call.Call) {
	if len(w.processes) > 1 || !c.State.Terminal() { // what was not stored when a process died is gone
		return
	}
	var words []string
	at := time.Duration(-1)
	for _, s := range c.Transcript {
		if s.At < at {
			w.breaks("S8", "%s: words out of order at %v", c.ID, s.At)
		}
		at = s.At
		if s.Speaker == transcript.Customer {
			words = append(words, s.Text)
		}
	}
	if !slices.Equal(words, w.words[c.ID]) {
		w.breaks("S8", "%s: the transcript has %q of %q", c.ID, words, w.words[c.ID])
	}
}

// judgeFigures: what was begun has ended, and nothing is left.
func (w *world) judgeFigures(records []*call.Call) {
	for n, p := range w.processes {
		if p.dead.Load() {
			continue
		}
		s := p.Stats()
		var ended int64
		for _, k := range s.Ended {
			ended += k
		}
		if s.TakenOver < int64(p.left) {
			w.breaks("S20", "process %d: %d calls were left to it, and %d taken up", n, p.left, s.TakenOver)
		}
		if begun := s.Placed + s.Received + s.TakenOver; ended != begun {
			w.breaks("S20", "process %d: %d calls begun, %d ended", n, begun, ended)
		}
		if s.Live != 0 || s.PersistPending != 0 || s.AgentsLeft != 0 {
			w.breaks("S6", "process %d: %d calls live, %d not stored, %d agents left", n, s.Live, s.PersistPending, s.AgentsLeft)
		}
		if s.EventsDropped != 0 || s.EventsUnsaved != 0 || s.WebhooksUnverified != 0 {
			w.breaks("S18", "process %d: events %d dropped, %d unsaved; %d webhooks unverified", n, s.EventsDropped, s.EventsUnsaved, s.WebhooksUnverified)
		}
	}
}
