package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

const (
	// listenTicketLife is how long a browser may take to show a ticket to listen.
	listenTicketLife = 30 * time.Second
	// agentLead is how much of the agent's sound waits for the caller's that it is
	// mixed with, on a call whose caller's sound does not come.
	agentLead = 200 * time.Millisecond
	// maxBehind is how far behind the call a listener in a browser may fall; then
	// what waits is dropped.
	maxBehind = time.Second
)

// InviteListener makes a ticket with which one browser can listen to a live call:
// see Listen, whose errors it has. The browser opens a WebSocket to ws/listen below
// the service's public URL, within half a minute, with "ticket." and the Ticket as
// subprotocol, and hears both sides mixed over the protocol of stream.PCM. What it
// sends is ignored. Of one call eight tickets are good at once; another one makes
// the oldest useless.
func (s *Service) InviteListener(ctx context.Context, id string) (Ticket, error) {
	r, err := s.order(ctx, order{Deed: deedListen, Call: id})
	if err != nil {
		return Ticket{}, fmt.Errorf("call: invite listener: %w", err)
	}
	if r.Ticket == nil {
		return Ticket{}, fmt.Errorf("call: invite listener: %w", errors.ErrUnsupported)
	}
	return *r.Ticket, nil
}

func (l *live) inviteListener() (*Ticket, error) {
	if _, err := l.audible(); err != nil {
		return nil, err
	}
	now := time.Now()
	token, ok := l.svc.tokens.issueEar(l, now)
	if !ok {
		return nil, ErrEnded
	}
	return &Ticket{CallID: l.id, Ticket: token, ExpiresAt: now.Add(listenTicketLife)}, nil
}

// serveListener admits a browser that shows a ticket to listen.
func (s *Service) serveListener(w http.ResponseWriter, r *http.Request) {
	protocol, ticket := shownTicket(r)
	if s.passSocket(w, r, ticket) {
		return
	}
	l := s.tokens.takeEar(ticket, time.Now())
	if l == nil {
		s.counts.streamsRefused.Add(1)
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	conn, err := s.cfg.Media.Accept(w, r, stream.Upgrade{
		Protocol:     stream.PCM{},
		Subprotocols: []string{protocol},
		Origins:      s.origins(),
	})
	if err != nil { // which has been answered
		s.counts.streamsRefused.Add(1)
		s.log.Warn("listener refused", "call", l.id, "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		conn.Close(ErrEnded)
		return
	}
	e := &earpiece{live: l, conn: conn}
	s.keepers.Go(e.run) // which Shutdown waits for, since the call is not over
}

// earpiece lets a browser hear a call.
type earpiece struct {
	live *live
	conn *stream.Conn

	listener *Listener // from Start on
	playing  sync.WaitGroup

	agent   *audio.Ring // what the agent said, until the caller's sound of that time comes
	scratch []int16
	mixed   []int16
	there   []int16          // at the browser's rate
	convert *audio.Resampler // nil if that is the call's
	behind  int64            // samples that may wait to be sent there
}

// run lasts as long as the browser's socket.
func (e *earpiece) run() {
	err := e.conn.Run(e.live.svc.ctx, e)
	if e.listener != nil {
		e.listener.Close()
	}
	e.playing.Wait()
	if err != nil {
		e.live.log.Info("listener has gone", "err", err)
	}
}

// Start begins to listen.
func (e *earpiece) Start(start stream.Start) error {
	l, err := e.live.hearken(context.Background(), listenBuffer)
	if err != nil {
		return err
	}
	e.listener = l
	rate, there := e.live.currentSession().format.Rate, start.Format.Rate
	if rate != there {
		if e.convert, err = audio.NewResampler(rate, there); err != nil {
			return err
		}
	}
	e.prepare(rate)
	e.behind = int64(audio.Samples(maxBehind, there))
	e.playing.Go(e.play)
	return nil
}

func (e *earpiece) prepare(rate int) {
	e.agent = audio.NewRing(audio.Samples(maxBehind, rate))
	e.scratch = make([]int16, e.agent.Cap())
}

// play sends what is heard until there is no more, and lets that be heard.
func (e *earpiece) play() {
	defer e.conn.Close(nil)
	for {
		f, err := e.listener.ReadFrame()
		if err != nil {
			ctx, cancel := context.WithTimeout(e.live.svc.ctx, maxBehind)
			defer cancel()
			_ = e.conn.Drain(ctx)
			return
		}
		pcm := e.mix(f)
		if e.convert != nil {
			e.there = e.convert.Append(e.there[:0], pcm)
			pcm = e.there
		}
		if pos := e.conn.Position(); pos.Written-pos.Sent > e.behind {
			e.conn.Clear()
		}
		if _, err := e.conn.Write(pcm); errors.Is(err, stream.ErrClosed) {
			return
		}
	}
}

// mix puts the sides of the call upon each other. The caller's sound, which comes
// without a gap, sets the pace.
func (e *earpiece) mix(f *audio.Frame) []int16 {
	if f.Track == audio.Outbound {
		e.agent.Overwrite(f.PCM)
		alone := e.agent.Len() - audio.Samples(agentLead, f.Format.Rate)
		return e.scratch[:e.agent.Read(e.scratch[:max(0, alone)])]
	}
	e.mixed = append(e.mixed[:0], f.PCM...)
	said := e.scratch[:e.agent.Read(e.scratch[:len(e.mixed)])]
	audio.Mix(e.mixed, said)
	return e.mixed
}

// WriteFrame takes what the browser sends, and hears itself: nothing of interest.
func (e *earpiece) WriteFrame(*audio.Frame) {}

// Key takes a key that concerns nobody.
func (e *earpiece) Key(byte, time.Duration) {}

// Text takes a message that concerns nobody.
func (e *earpiece) Text([]byte) {}

// Heard is not needed.
func (e *earpiece) Heard(int64, bool) {}
