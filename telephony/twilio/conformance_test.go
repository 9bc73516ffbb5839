package twilio

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/stream/streamtest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/telephonytest"
)

func TestProviderConforms(t *testing.T) {
	captured := capturedWebhooks(t)
	genuine := func(name string, want telephony.Event) telephonytest.Webhook {
		w, ok := captured[name]
		if !ok {
			t.Fatalf("no webhook %q", name)
		}
		want.ProviderCallID = testCall
		return telephonytest.Webhook{Name: name, Webhook: w.webhook(), Want: want}
	}
	telephonytest.TestProvider(t, telephonytest.Carrier{
		New: func(t testing.TB, base string) telephony.Provider {
			p := testProvider()
			p.BaseURL = base
			t.Cleanup(p.CloseIdleConnections)
			return p
		},
		Secrets: []string{testToken + ":", testAccount},
		Creates: func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Calls.json")
		},
		Placed: func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(map[string]string{"sid": id, "status": "queued"})
		},
		CallID: testCall,
		Gone: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"code":20404,"message":"The requested resource was not found","status":404}`)
		},
		Webhooks: []telephonytest.Webhook{
			genuine("inbound_voice", telephony.Event{Direction: telephony.Inbound, Status: telephony.StatusRinging, From: "+14155550100", To: "+15005550006"}),
			genuine("inbound_voice_get", telephony.Event{Direction: telephony.Inbound, Status: telephony.StatusRinging}),
			genuine("status_in-progress", telephony.Event{Status: telephony.StatusInProgress}),
			genuine("status_busy", telephony.Event{Status: telephony.StatusBusy}),
			genuine("amd_async_machine_end_beep", telephony.Event{AnsweredBy: telephony.AnsweredByBeep}),
			genuine("dial_action", telephony.Event{Direction: telephony.Inbound, Status: telephony.StatusInProgress}),
		},
	})
}

func TestProtocolConforms(t *testing.T) {
	captured := capturedMessages(t)
	genuine := func(name string, want stream.Message) streamtest.Message {
		data, ok := captured[name]
		if !ok {
			t.Fatalf("no message %q of %v", name, len(captured))
		}
		return streamtest.Message{Name: name, Data: []byte(data), Want: want}
	}
	var sent struct{ Mark struct{ Name string } }
	if err := json.Unmarshal(new(Provider).AppendMark(nil, testStream, 7), &sent); err != nil {
		t.Fatal(err)
	}
	messages := []streamtest.Message{}
	for name, data := range captured {
		if m, err := decode(data); err == nil {
			messages = append(messages, genuine(name, stream.Message{Kind: m.Kind, StreamID: m.StreamID, CallID: m.CallID, Sequence: m.Sequence}))
		}
	}
	streamtest.TestProtocol(t, streamtest.Subject{
		Protocol: new(Provider),
		Messages: append(messages,
			streamtest.Message{
				Name: "start", Want: stream.Message{Kind: stream.KindStart, StreamID: testStream, Format: audio.Telephone, Sequence: 1},
				Data: []byte(`{"event":"start","sequenceNumber":"1","start":{"accountSid":"` + testAccount + `","streamSid":"` + testStream + `","callSid":"` + testCall + `","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"streamSid":"` + testStream + `"}`),
			},
			streamtest.Message{
				Name: "media", Want: stream.Message{Kind: stream.KindMedia, Payload: []byte{1, 2, 3}, Sequence: 3, Timestamp: 5 * time.Millisecond},
				Data: []byte(`{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"AQID"},"streamSid":"` + testStream + `"}`),
			},
			streamtest.Message{
				Name: "mark", Want: stream.Message{Kind: stream.KindMark, Mark: 7},
				Data: []byte(`{"event":"mark","sequenceNumber":"4","streamSid":"` + testStream + `","mark":{"name":"` + sent.Mark.Name + `"}}`),
			},
		),
		Bad: []streamtest.Message{
			{Name: "no JSON", Data: []byte(`event=media`)},
			{Name: "no event", Data: []byte(`{"media":{}}`)},
			{Name: "no base64", Data: []byte(`{"event":"media","media":{"payload":"***"}}`)},
		},
		Far: func(data []byte, _ bool) (streamtest.Sent, error) {
			var m struct {
				Event     string
				StreamSid string
				Media     struct{ Payload []byte }
				Mark      struct{ Name string }
			}
			if err := json.Unmarshal(data, &m); err != nil {
				return streamtest.Sent{}, err
			}
			sent := streamtest.Sent{StreamID: m.StreamSid, Payload: m.Media.Payload}
			switch m.Event {
			case "media":
				sent.Kind = stream.KindMedia
			case "clear":
				sent.Kind = stream.KindCleared
			case "mark": // as Twilio returns it
				back, err := decode(`{"event":"mark","sequenceNumber":"4","streamSid":"` + testStream + `","mark":{"name":"` + m.Mark.Name + `"}}`)
				if err != nil {
					return sent, err
				}
				sent.Kind, sent.Mark = stream.KindMark, back.Mark
			default:
				return sent, errors.New("unknown event")
			}
			return sent, nil
		},
	})
}
