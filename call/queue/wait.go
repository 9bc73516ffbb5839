package queue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// visit is a caller on the line who waits.
type visit struct {
	place  *Place
	turn   chan string   // the agent, once there is one; capacity 1
	nobody chan struct{} // closed when an agent has been looked for in vain

	// Guarded by the desk's mu.
	looked   bool // nobody is closed
	standing Standing
}

// lookTimeout is how long a caller hears nothing while an agent is looked for.
const lookTimeout = 2 * time.Second

// Why a caller waits no longer, as events say it.
const (
	byKey    = "key"
	hungUp   = "hung up"
	timedOut = "waited too long"
	isFull   = "full"
	broken   = "no place" // the store has failed
	promised = "callback"

	elsewhere = "handed over" // by the host
)

// Serve implements call.Agent: it lets a caller wait.
func (l *line) Serve(ctx context.Context, s *call.Session) error {
	c := s.Call()
	if p := l.desk.calledBack(c); p != nil {
		return s.HandOver(p.Agent)
	}
	v, err := l.join(ctx, c)
	switch {
	case errors.Is(err, ErrFull):
		l.count(func(st *Stats) { st.Full++ })
		return l.dismiss(s, isFull)
	case err != nil:
		l.desk.log.Error("caller got no place", "call", c.ID, "err", err)
		return l.dismiss(s, broken)
	}
	l.event(s, "queued", nil)
	w := &wait{line: l, visit: v, session: s, call: c, begun: time.Now()}
	agent, why := w.run(ctx)
	if agent == "" {
		agent = l.desk.quit(v)
	}
	if agent != "" && ctx.Err() == nil {
		return w.serve(agent)
	}
	l.desk.forget(v.place)
	switch why {
	case promised:
		l.keep(c, v.place)
		l.event(s, "left", map[string]string{"why": why})
		return nil // which hangs up
	case byKey:
		l.count(func(st *Stats) { st.Left++ })
	case timedOut:
		l.count(func(st *Stats) { st.TimedOut++ })
	default:
		end(s) // somebody else may have the call now
		if errors.Is(context.Cause(ctx), call.ErrHandedOver) {
			l.event(s, "left", map[string]string{"why": elsewhere})
			return nil
		}
		l.count(func(st *Stats) { st.Abandoned++ })
		l.event(s, "left", map[string]string{"why": hungUp})
		return context.Cause(ctx)
	}
	return l.dismiss(s, why)
}

// join gets a place for a call.
func (l *line) join(ctx context.Context, c *call.Call) (*visit, error) {
	p := &Place{ID: newID("place"), Queue: l.name, CallID: c.ID, Owner: l.desk.owner, HeadStart: l.headStart(c)}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := l.desk.store.Join(ctx, p, l.Max); err != nil {
		if !errors.Is(err, ErrFull) {
			l.desk.forget(p) // nobody knows
		}
		return nil, err
	}
	v := &visit{place: p, turn: make(chan string, 1), nobody: make(chan struct{})}
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	l.desk.visits[p.ID] = v
	l.counts.Joined++
	l.desk.look()
	return v, nil
}

// quit ends a visit, and returns the agent if the caller has been given one.
func (d *Desk) quit(v *visit) (agent string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.visits, v.place.ID)
	select {
	case agent := <-v.turn:
		return agent
	default:
		return ""
	}
}

// forget gives up the place of a caller who was, or was to be, on the line.
func (d *Desk) forget(p *Place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.given, p.CallID)
	d.write(leave, p)
}

// dismiss sends a caller to the backup.
func (l *line) dismiss(s *call.Session, why string) error {
	end(s)
	l.event(s, "left", map[string]string{"why": why})
	if l.Backup == "" {
		return nil // which hangs up
	}
	return s.HandOver(l.Backup)
}

// end ends what a caller hears who waits.
func end(s *call.Session) {
	_ = s.Resume() // fails if there is no music
	s.Clear()
}

// event notes something about the queue on the call.
func (l *line) event(s *call.Session, name string, data map[string]string) {
	all := map[string]string{"queue": l.name}
	for k, v := range data {
		all[k] = v
	}
	s.Log(name, all)
}

// wait is a caller who waits.
type wait struct {
	*line
	*visit
	session *call.Session
	call    *call.Call
	begun   time.Time
	told    int             // the position that was told last
	said    <-chan struct{} // closed when the announcement has been heard; nil if there is none
	music   bool            // it has begun
}

// run lets the caller wait, and returns its agent, or why it waits no longer.
func (w *wait) run(ctx context.Context) (agent, why string) {
	limit := time.NewTimer(w.MaxWait)
	defer limit.Stop()
	tell := time.NewTicker(w.Every)
	defer tell.Stop()
	late := time.NewTimer(lookTimeout)
	defer late.Stop()
	nobody, keys := w.nobody, w.session.Keys()
	for {
		select {
		case agent := <-w.turn:
			return agent, ""
		default: // before all that happens at the same time
		}
		select {
		case agent := <-w.turn:
			return agent, ""
		case <-nobody:
			nobody = nil
			w.tell(ctx)
		case <-late.C:
			if !w.music { // the store may be down, and nobody likes silence
				w.tell(ctx)
			}
		case <-tell.C:
			w.tell(ctx)
		case <-w.said:
			w.said = nil
			w.hold()
		case key, ok := <-keys:
			switch {
			case !ok:
				keys = nil // the call is over, as ctx will tell
			case w.LeaveKey != "" && string(key) == w.LeaveKey:
				return "", byKey
			case w.CallbackKey != "" && string(key) == w.CallbackKey && w.callable():
				return w.promise(ctx), promised
			}
		case <-limit.C:
			return "", timedOut
		case <-ctx.Done():
			return "", hungUp
		}
	}
}

// tell tells the caller how it stands. There is music before and after.
func (w *wait) tell(ctx context.Context) {
	w.desk.mu.Lock()
	at := w.standing
	w.desk.mu.Unlock()
	if at.Position != w.told && at.Position > 0 {
		w.told = at.Position
		w.event(w.session, "position", map[string]string{"position": strconv.Itoa(at.Position)})
	}
	if w.Announce != nil && at.Position > 0 {
		if said := w.say(w.Announce(ctx, w.call, at)); said != nil {
			w.said = said.Done()
		}
	}
	if w.said == nil && !w.music {
		w.hold()
	}
}

// hold lets the caller hear music: nobody listens to it, and its silence does not
// count.
func (w *wait) hold() {
	w.music = true
	_ = w.session.Hold(w.Music(w.session.Format().Rate)) // fails if the call is over, or on hold by the host
}

// promise tells the caller that it will be called back. It returns the agent if it
// has one before that was heard.
func (w *wait) promise(ctx context.Context) (agent string) {
	end(w.session)
	if w.Promise == nil {
		return ""
	}
	said := w.say(w.Promise(ctx, w.call))
	if said == nil {
		return ""
	}
	select {
	case <-said.Done():
	case agent = <-w.turn:
	case <-ctx.Done():
	}
	return agent
}

// say lets the caller hear what the host has to say, if there is anything.
func (w *wait) say(u call.Utterance, err error) *call.Speech {
	switch {
	case err != nil:
		w.desk.log.Warn("caller is not told how it stands", "call", w.call.ID, "err", err)
	case u.Audio != nil:
		_ = w.session.Resume() // fails if there is no music yet
		return w.session.Say(u)
	}
	return nil
}

// serve hands the caller over to its agent.
func (w *wait) serve(agent string) error {
	s, waited := w.session, time.Since(w.begun)
	end(s)
	w.event(s, "served", map[string]string{"agent": agent, "waited": waited.Round(time.Millisecond).String()})
	if err := s.HandOver(agent); err != nil {
		w.desk.forget(w.place)
		return err
	}
	w.count(func(st *Stats) {
		st.Served++
		st.Waited += waited
	})
	return nil
}
