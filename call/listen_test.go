package call_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// both are the sides of a call as a listener hears them, each on the call's clock.
type both [2][]int16

func (b *both) hear(l *call.Listener) {
	for {
		f, err := l.ReadFrame()
		if err != nil {
			return
		}
		side := &b[f.Track]
		if at := audio.Samples(f.At, f.Format.Rate); at > len(*side) {
			*side = append(*side, make([]int16, at-len(*side))...)
		}
		*side = append(*side, f.PCM...)
	}
}

// listens are the events about listeners, in order.
func listens(t *testing.T, o *office, id string) (names []string) {
	t.Helper()
	events, err := o.Events(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == call.EventListen {
			names = append(names, e.Name)
		}
	}
	return names
}

// A listener hears both sides, each on its track and at its time, but for what is
// said in a pause of the recording. Neither side hears anything of it, and the
// events tell.
func TestListenerHearsBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_, _ = s.Speak(tone(440, 4*time.Second)).Wait(ctx)
			if err := s.PauseRecording(ctx); err != nil {
				t.Error(err)
			}
			_, _ = s.Speak(tone(1200, 2*time.Second)).Wait(ctx)
			if err := s.ResumeRecording(ctx); err != nil {
				t.Error(err)
			}
			_, err := s.Speak(tone(700, 2*time.Second)).Wait(ctx)
			return err
		})
		o := newOffice(t, agent, func(c *call.Config) { c.Interruption.Mode = call.Never })
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			time.Sleep(time.Second)
			_ = k.Say(tone(1000, 20*time.Second))
			<-k.Done()
		}})
		c := o.place(call.Options{})
		if _, err := o.Listen(t.Context(), c.ID, 0); !errors.Is(err, telephony.ErrCallState) {
			t.Errorf("before there is sound: %v", err)
		}
		time.Sleep(3 * time.Second)
		whole, err := o.Listen(t.Context(), c.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		short, err := o.Listen(ctx, c.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		lazy, err := o.Listen(t.Context(), c.ID, 500*time.Millisecond) // reads at the end
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2*time.Second, leave)
		var heard, part, late both
		var reading sync.WaitGroup
		reading.Go(func() { heard.hear(whole) })
		reading.Go(func() { part.hear(short) })
		time.Sleep(2 * time.Second)
		now, err := o.Call(t.Context(), c.ID)
		if m := now.Metrics; err != nil || m.AgentTalk < 3*time.Second || m.AgentTalk > 5*time.Second || m.CallerTalk == 0 {
			t.Errorf("after about four seconds the agent has talked for %v, the caller for %v, %v", m.AgentTalk, m.CallerTalk, err)
		}
		ended := o.wait(c.ID)
		late.hear(lazy)
		reading.Wait()
		o.check(ended, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()

		rate := 8000
		for side, hz := range []float64{1000, 440} {
			audiotest.HasTone(t, heard[side][5*rate/2:7*rate/2], rate, hz)
			audiotest.NoTone(t, heard[side], rate, []float64{440, 1000}[side])
		}
		audiotest.NoTone(t, heard[audio.Outbound], rate, 1200)
		audiotest.HasTone(t, heard[audio.Outbound], rate, 700)
		if n := len(part[audio.Inbound]); n < 3*rate || n > 5*rate {
			t.Errorf("who left after two seconds has heard until %v", audio.Duration(n, rate))
		}
		kept := 0
		for _, side := range late {
			if first := slices.IndexFunc(side, func(s int16) bool { return s != 0 }); first >= 0 {
				kept += len(side) - first
			}
		}
		if most := rate; kept > most || kept < most/2 {
			t.Errorf("a buffer of half a second had %v in the end", audio.Duration(kept, rate))
		}
		if d := lazy.Dropped(); d < 5*time.Second || whole.Dropped() != 0 {
			t.Errorf("dropped %v for who did not read, %v for who did", d, whole.Dropped())
		}
		if got, want := listens(t, o, c.ID), []string{"on", "on", "on", "off"}; !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		if _, err := o.Listen(t.Context(), c.ID, 0); !errors.Is(err, call.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
		if _, err := whole.ReadFrame(); !errors.Is(err, io.EOF) {
			t.Errorf("reading after the end: %v", err)
		}
		whole.Close()
	})
}

// Listeners are few, and know what they ask for.
func TestListenersThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, nil)
		o.Phone(callee).Behave(sim.Behavior{})
		c := o.place(call.Options{})
		time.Sleep(3 * time.Second)
		for _, buffer := range []time.Duration{-1, 2 * time.Minute} {
			if _, err := o.Listen(t.Context(), c.ID, buffer); !errors.Is(err, call.ErrInvalidRequest) {
				t.Errorf("a buffer of %v: %v", buffer, err)
			}
		}
		if _, err := o.Listen(t.Context(), "nobody", 0); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("a call that is none: %v", err)
		}
		if _, err := o.InviteListener(t.Context(), "nobody"); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("an invitation to one: %v", err)
		}
		var all []*call.Listener
		for range 8 {
			l, err := o.Listen(t.Context(), c.ID, time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
		if _, err := o.Listen(t.Context(), c.ID, 0); !errors.Is(err, telephony.ErrCallState) || !strings.Contains(err.Error(), "8 listen") {
			t.Errorf("a ninth: %v", err)
		}
		all[3].Close()
		all[3].Close()
		if _, err := o.Listen(t.Context(), c.ID, 0); err != nil {
			t.Errorf("when one has left: %v", err)
		}
		_ = o.Hangup(t.Context(), c.ID)
		o.wait(c.ID)
		if _, err := o.InviteListener(t.Context(), c.ID); !errors.Is(err, call.ErrEnded) {
			t.Errorf("an invitation after the end: %v", err)
		}
	})
}

// listenIn opens the socket of a browser that listens, and returns what comes of
// it in the end; status is that of HTTP.
func listenIn(t *testing.T, network *calltest.Network, ticket, origin string) (heard <-chan []int16, conn *websocket.Conn, status int) {
	t.Helper()
	dialer := websocket.Dialer{NetDialTLSContext: network.DialContext}
	header := http.Header{"Origin": {origin}, "Sec-Websocket-Protocol": {"ticket." + ticket}}
	conn, resp, err := dialer.DialContext(t.Context(), "wss://calls.test/phone/ws/listen", header)
	if resp == nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err != nil {
		return nil, nil, resp.StatusCode
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"start","rate":16000}`)); err != nil {
		t.Fatal(err)
	}
	all := make(chan []int16, 1)
	go func() {
		var pcm []int16
		for {
			kind, data, err := conn.ReadMessage()
			if err != nil {
				all <- pcm
				return
			}
			for i := 0; kind == websocket.BinaryMessage && i+1 < len(data); i += 2 {
				pcm = append(pcm, int16(binary.LittleEndian.Uint16(data[i:])))
			}
		}
	}()
	return all, conn, resp.StatusCode
}

// twoTones is a call on which the agent hums at 440 Hz and the callee at 1000.
func twoTones(o *sim.Phone) call.Agent {
	o.Behave(sim.Behavior{Talk: func(k *sim.Talk) {
		_ = k.Say(tone(1000, time.Minute))
		<-k.Done()
	}})
	return call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		_, err := s.Speak(tone(440, 10*time.Second)).Wait(ctx)
		return err
	})
}

// hasBoth checks that both are heard, at 16 kHz.
func hasBoth(t *testing.T, pcm []int16) {
	t.Helper()
	for _, hz := range []float64{440, 1000} {
		if level := audiotest.Level(pcm, 16000, hz); level < -20 {
			t.Errorf("%v Hz is at %.1f dBFS", hz, level)
		}
	}
}

// A browser that shows its ticket in time, once, from a page of ours hears both
// sides upon each other until the call is over.
func TestBrowserListensToACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o *office
		agent := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			return twoTones(o.Phone(callee)).Serve(ctx, s)
		})
		o = newOffice(t, agent, func(c *call.Config) { c.Interruption.Mode = call.Never })
		twoTones(o.Phone(callee))
		c := o.place(call.Options{})
		time.Sleep(3 * time.Second)
		invite := func() string {
			ticket, err := o.InviteListener(t.Context(), c.ID)
			if err != nil || ticket.CallID != c.ID || time.Until(ticket.ExpiresAt) != 30*time.Second {
				t.Fatalf("%+v, %v", ticket, err)
			}
			return ticket.Ticket
		}
		const ours = "https://calls.test"
		ticket := invite()
		for name, show := range map[string][2]string{
			"no ticket": {"", ours}, "another ticket": {"guess", ours}, "another origin": {invite(), "https://evil.test"},
		} {
			if _, _, status := listenIn(t, o.Network, show[0], show[1]); status != http.StatusForbidden {
				t.Errorf("%s: HTTP %d", name, status)
			}
		}
		heard, _, status := listenIn(t, o.Network, ticket, ours)
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("HTTP %d", status)
		}
		if _, _, status := listenIn(t, o.Network, ticket, ours); status != http.StatusForbidden {
			t.Errorf("a second time: HTTP %d", status)
		}
		gone, conn, _ := listenIn(t, o.Network, invite(), ours)
		time.Sleep(time.Second)
		_ = conn.Close()
		<-gone
		late := invite()
		time.Sleep(2 * time.Second)

		o.check(o.wait(c.ID), call.Completed, call.AgentDone, allStates...)
		pcm := <-heard
		synctest.Wait()
		const rate = 16000
		hasBoth(t, pcm[rate:5*rate])
		if d := audio.Duration(len(pcm), rate); d < 5*time.Second || d > 9*time.Second {
			t.Errorf("it has heard %v", d)
		}
		if got, want := listens(t, o, c.ID), []string{"on", "on", "off"}; !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		if _, _, status := listenIn(t, o.Network, late, ours); status != http.StatusForbidden {
			t.Errorf("after the end: HTTP %d", status)
		}
	})
}

// Whichever replica is asked, and wherever the browser's socket arrives, it hears
// the call of another one.
func TestBrowserListensToACallOfAnotherReplica(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect string) {
		rs := newReplicas(t, dialect, call.NewMemoryStore(), 2, func(c *call.Config) {
			c.Agents = call.Agents{"agent": call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				_, err := s.Speak(tone(440, 10*time.Second)).Wait(ctx)
				return err
			})}
			c.Interruption.Mode = call.Never
		})
		twoTones(rs.Phone(callee))
		c := rs.place(0, callee)
		rs.reaches(1, c.ID, call.Active)
		time.Sleep(time.Second)
		if _, err := rs.all[1].Listen(t.Context(), c.ID, 0); !errors.Is(err, call.ErrUnreachable) {
			t.Errorf("listening in another process: %v", err)
		}
		ticket, err := rs.all[1].InviteListener(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		rs.mu.Lock()
		rs.to = func(*http.Request) int { return 1 }
		rs.mu.Unlock()
		heard, _, status := listenIn(t, rs.Network, ticket.Ticket, "https://calls.test")
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("HTTP %d", status)
		}
		rs.mu.Lock()
		rs.to = func(*http.Request) int { return 0 }
		rs.mu.Unlock()
		if _, err := rs.all[0].Wait(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		pcm := <-heard
		hasBoth(t, pcm)
	})
}
