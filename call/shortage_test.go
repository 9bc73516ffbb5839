package call_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Of two thousand sockets that have their tickets and never start, as many are
// held as may be and the rest is refused; who talks meanwhile is heard without a
// gap, and when the idle ones have run out of time there is room again.
func TestThousandsOfSocketsThatNeverStart(t *testing.T) {
	const sockets, held = 2000, 256
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, func(c *call.Config) { c.MaxCalls = 2 * sockets })
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
			_ = k.Say(audio.NewSamples(audiotest.Tone(440, 20*time.Second, 8000), 8000))
			k.Hangup()
		}})
		lives := o.place(call.Options{})
		time.Sleep(2 * time.Second)

		dialer := websocket.Dialer{NetDialTLSContext: o.DialContext}
		connect := func() (*websocket.Conn, int) {
			ticket, err := o.Invite(t.Context(), call.Invitation{AgentID: "agent"})
			if err != nil {
				t.Error(err)
				return nil, 0
			}
			conn, resp, err := dialer.DialContext(t.Context(), "wss://calls.test/phone/ws/stream",
				http.Header{"Sec-Websocket-Protocol": {"ticket." + ticket.Ticket}})
			if resp == nil {
				t.Error(err)
				return nil, 0
			}
			return conn, resp.StatusCode
		}
		var open, refused atomic.Int64
		var all sync.WaitGroup
		for range sockets {
			all.Go(func() {
				switch conn, status := connect(); status {
				case http.StatusSwitchingProtocols:
					open.Add(1)
					_, _, err := conn.ReadMessage() // until it is closed
					if err == nil {
						t.Error("a socket without a start was told something")
					}
					open.Add(-1)
					_ = conn.Close()
				case http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					t.Errorf("a socket was answered with %d", status)
				}
			})
		}
		synctest.Wait()
		if open.Load() != held || refused.Load() != sockets-held {
			t.Errorf("%d sockets are open and %d were refused, want %d and %d", open.Load(), refused.Load(), held, sockets-held)
		}
		c := o.wait(lives.ID)
		if m := c.Metrics; c.State != call.Completed || c.Cause != call.HangupRemote || m.FramesLost != 0 || m.FramesIn < 900 {
			t.Errorf("the call that lived ended %v, %q; %d frames came and %d were lost", c.State, c.Cause, m.FramesIn, m.FramesLost)
		}
		all.Wait()
		time.Sleep(5 * time.Minute)
		if n := o.Stats().Live; n != 0 {
			t.Errorf("%d calls are live", n)
		}
		if conn, status := connect(); status != http.StatusSwitchingProtocols {
			t.Errorf("later: %d", status)
		} else {
			_ = conn.Close()
		}
	})
}
