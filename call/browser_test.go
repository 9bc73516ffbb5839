package call_test

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
)

// A browser that shows its ticket talks to an agent: what it says comes back.
func TestBrowserTalksToAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		ticket, err := b.Invite(t.Context(), call.Invitation{AgentID: "agent"})
		if err != nil {
			t.Fatal(err)
		}
		page := http.Header{"Origin": {"https://calls.test"}}
		show := func(name, origin string) http.Header {
			return http.Header{"Origin": {origin}, "Sec-Websocket-Protocol": {name}}
		}
		for name, header := range map[string]http.Header{
			"no ticket":      page,
			"another ticket": show("ticket.guess", "https://calls.test"),
			"another origin": show("ticket."+ticket.Ticket, "https://evil.test"),
		} {
			if _, status := b.dial("ws/stream", header); status != http.StatusForbidden {
				t.Errorf("%s: HTTP %d", name, status)
			}
		}
		conn, status := b.dial("ws/stream", show("ticket."+ticket.Ticket, "https://calls.test"))
		if status != 101 {
			t.Fatalf("HTTP %d", status)
		}
		if got := conn.Subprotocol(); got != "ticket."+ticket.Ticket {
			t.Errorf("subprotocol %q", got)
		}
		if _, status := b.dial("ws/stream", show("ticket."+ticket.Ticket, "https://calls.test")); status != http.StatusForbidden {
			t.Errorf("a second time: HTTP %d", status)
		}
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"start","rate":16000}`)); err != nil {
			t.Fatal(err)
		}
		said := audiotest.Sweep(300, 3000, 2*time.Second, 16000)
		heard := make(chan []int16)
		go func() { // the browser's loudspeaker
			var pcm []int16
			for {
				kind, data, err := conn.ReadMessage()
				if err != nil {
					heard <- pcm
					return
				}
				var m struct {
					Event string
					Mark  int
				}
				if kind == websocket.BinaryMessage {
					for i := 0; i+1 < len(data); i += 2 {
						pcm = append(pcm, int16(binary.LittleEndian.Uint16(data[i:])))
					}
				} else if json.Unmarshal(data, &m) != nil {
					t.Errorf("message %q", data)
				}
			}
		}()
		for i := 0; i < len(said); i += 320 {
			frame := make([]byte, 0, 640)
			for _, s := range said[i : i+320] {
				frame = binary.LittleEndian.AppendUint16(frame, uint16(s))
			}
			if err := conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"stop"}`)); err != nil {
			t.Fatal(err)
		}
		pcm := <-heard
		offset, similarity := audiotest.Align(said, pcm)
		if len(pcm) < len(said) || similarity < 0.999 {
			t.Errorf("%d of %d samples came back, alike to %v (offset %d)", len(pcm), len(said), similarity, offset)
		}
		c, err := b.Wait(t.Context(), ticket.CallID)
		if err != nil || c.State != call.Completed || c.Provider != "browser" || c.Cause != call.HangupRemote {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// A ticket that nobody shows costs no call for long.
func TestTicketThatIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		ticket, err := b.Invite(t.Context(), call.Invitation{AgentID: "agent"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Wait(t.Context(), ticket.CallID)
		if err != nil || c.State != call.Failed || c.Cause != call.NoMedia {
			t.Errorf("%v, %q, %v", c.State, c.Cause, err)
		}
		if took := time.Since(c.CreatedAt); took > tokenTime {
			t.Errorf("it took %v", took)
		}
	})
}

const tokenTime = 2 * time.Minute
