package call_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

const (
	account = sim.DefaultAccountSID
	secret  = sim.DefaultAuthToken
	base    = "https://calls.test/phone/"
)

// signed is a form as Twilio signs it.
func signed(address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(address))
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		mac.Write([]byte(name + form.Get(name)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// bare is a service that is reached over a network in memory, with nobody at the
// other end.
type bare struct {
	*call.Service
	client *http.Client
	pipe   *memnet.Network
	t      *testing.T
}

func newBare(t *testing.T, change func(*call.Config)) *bare {
	t.Helper()
	pipe := memnet.New()
	transport := &http.Transport{DialContext: pipe.DialContext, DialTLSContext: pipe.DialContext}
	cfg := call.Config{
		PublicURL: base,
		Providers: []call.Provider{&twilio.Provider{
			AccountSID: account, AuthToken: secret, BaseURL: "http://127.0.0.1:1", Transport: transport,
		}},
		Agents: call.Agents{"agent": call.Echo},
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := call.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := pipe.Listen("calls.test:443")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: svc.Handler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = svc.Shutdown(ctx)
		transport.CloseIdleConnections()
		_ = srv.Close()
		<-done
		_ = pipe.Close()
	})
	return &bare{Service: svc, client: &http.Client{Transport: transport}, pipe: pipe, t: t}
}

func (b *bare) post(path string, form url.Values, signature string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if signature != "" {
		req.Header.Set("X-Twilio-Signature", signature)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, body.String()
}

func (b *bare) count() int {
	b.t.Helper()
	n := 0
	for _, err := range b.Calls(b.t.Context(), call.Filter{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		n++
	}
	return n
}

func incoming() url.Values {
	return url.Values{
		"AccountSid": {account}, "ApiVersion": {"2010-04-01"}, "CallSid": {"CA0123456789abcdef0123456789abcdef"},
		"CallStatus": {"ringing"}, "Direction": {"inbound"}, "From": {"+12025550199"}, "To": {"+12025550100"},
	}
}

func TestUnsignedWebhooksChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		form := incoming()
		other := incoming()
		other.Set("From", "+12025550198")
		foreign := incoming()
		foreign.Set("AccountSid", "AC00000000000000000000000000000000")
		tests := []struct {
			name, path string
			form       url.Values
			signature  string
			status     int
		}{
			{"no signature", "webhook/twilio/incoming", form, "", 403},
			{"nonsense", "webhook/twilio/incoming", form, "bm9uc2Vuc2U=", 403},
			{"another form", "webhook/twilio/incoming", other, signed(base+"webhook/twilio/incoming", form), 403},
			{"another path", "webhook/twilio/incoming", form, signed(base+"webhook/twilio/status", form), 403},
			{"another host", "webhook/twilio/incoming", form, signed("https://evil.test/phone/webhook/twilio/incoming", form), 403},
			{"another account", "webhook/twilio/incoming", foreign, signed(base+"webhook/twilio/incoming", foreign), 403},
			{"another carrier", "webhook/plivo/incoming", form, signed(base+"webhook/plivo/incoming", form), 404},
			{"another kind", "webhook/twilio/else", form, signed(base+"webhook/twilio/else", form), 404},
			{"a status of no call", "webhook/twilio/status/call_none", form, signed(base+"webhook/twilio/status/call_none", form), 200},
		}
		for _, tt := range tests {
			if status, _ := b.post(tt.path, tt.form, tt.signature); status != tt.status {
				t.Errorf("%s: HTTP %d, want %d", tt.name, status, tt.status)
			}
		}
		if n := b.count(); n != 0 {
			t.Errorf("%d calls came of it", n)
		}
	})
}

// A webhook that is delivered twice is one call, with the same answer; one that
// is replayed after the end is none.
func TestWebhookDeliveredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		form, signature := incoming(), signed(base+"webhook/twilio/incoming", incoming())
		status, first := b.post("webhook/twilio/incoming", form, signature)
		if status != 200 || !strings.Contains(first, "<Stream") {
			t.Fatalf("HTTP %d: %s", status, first)
		}
		if _, again := b.post("webhook/twilio/incoming", form, signature); again != first {
			t.Errorf("again: %s, want %s", again, first)
		}
		if n := b.count(); n != 1 {
			t.Errorf("%d calls", n)
		}
		time.Sleep(10 * time.Minute) // no stream comes: it ends
		if _, late := b.post("webhook/twilio/incoming", form, signature); strings.Contains(late, "<Stream") || !strings.Contains(late, "<Hangup") {
			t.Errorf("after the end: %s", late)
		}
		if n := b.count(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// dial opens a media socket.
func (b *bare) dial(path string, header http.Header) (*websocket.Conn, int) {
	d := websocket.Dialer{NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return b.pipe.DialContext(ctx, network, addr)
	}}
	conn, resp, err := d.DialContext(b.t.Context(), "wss://calls.test/phone/"+path, header)
	if err != nil {
		if resp == nil {
			b.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn, 101
}

func TestMediaSocketsNeedTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		_, answer := b.post("webhook/twilio/incoming", incoming(), signed(base+"webhook/twilio/incoming", incoming()))
		_, token, _ := strings.Cut(answer, "ws/stream/")
		token, _, _ = strings.Cut(token, `"`)
		for _, path := range []string{"ws/stream/", "ws/stream/guess", "ws/stream/twilio/agent", "ws/stream/" + token[:len(token)-1], "ws/stream"} {
			if _, status := b.dial(path, nil); status == 101 {
				t.Errorf("%s: admitted", path)
			}
		}
		if _, status := b.dial("ws/stream/"+token, http.Header{"Origin": {"https://evil.test"}}); status != 403 {
			t.Errorf("from a page: HTTP %d", status)
		}
		conn, status := b.dial("ws/stream/"+token, nil)
		if status != 101 {
			t.Fatalf("with its token: HTTP %d", status)
		}
		if _, status := b.dial("ws/stream/"+token, nil); status != 403 {
			t.Errorf("a second time: HTTP %d", status)
		}
		// The token admits the call it was made for, and no other.
		start := `{"event":"start","sequenceNumber":"1","start":{"accountSid":"` + account + `","streamSid":"MZ0123456789abcdef0123456789abcdef",` +
			`"callSid":"CAffffffffffffffffffffffffffffffff","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},` +
			`"streamSid":"MZ0123456789abcdef0123456789abcdef"}`
		if err := conn.WriteMessage(websocket.TextMessage, []byte(start)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.ReadMessage(); err == nil {
			t.Error("the stream of another call was taken")
		}
		for c := range b.Calls(t.Context(), call.Filter{}) {
			if c.State == call.Active {
				t.Errorf("call is %v", c.State)
			}
		}
	})
}
