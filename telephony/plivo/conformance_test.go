package plivo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

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
		Secrets: []string{testToken, testAccount},
		Creates: func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Call/")
		},
		Placed: func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(map[string]string{"api_id": "x", "message": "call fired", "request_uuid": id})
		},
		CallID: testCall,
		Gone: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{}`)
		},
		Webhooks: []telephonytest.Webhook{
			genuine("inbound_answer", telephony.Event{Direction: telephony.Inbound, Status: telephony.StatusRinging, From: "+14155550100", To: "+15005550006"}),
			genuine("outbound_ring", telephony.Event{Status: telephony.StatusRinging}),
			genuine("hangup_completed", telephony.Event{Status: telephony.StatusCompleted}),
			genuine("hangup_no_answer", telephony.Event{Status: telephony.StatusNoAnswer}),
			genuine("stream_StartStream", telephony.Event{Direction: telephony.Inbound}),
		},
	})
}

func TestProtocolConforms(t *testing.T) {
	captured := capturedMessages(t)
	var messages []streamtest.Message
	for name, data := range captured {
		m, err := decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		messages = append(messages, streamtest.Message{Name: name, Data: []byte(data), Want: stream.Message{
			Kind: m.Kind, StreamID: m.StreamID, CallID: m.CallID, Format: m.Format, Sequence: m.Sequence, Timestamp: m.Timestamp,
		}})
	}
	var checkpoint struct{ Name string }
	if err := json.Unmarshal(new(Provider).AppendMark(nil, testStream, 7), &checkpoint); err != nil {
		t.Fatal(err)
	}
	played := func(name string) string {
		return `{"event":"playedStream","sequenceNumber":44,"streamId":"` + testStream + `","name":"` + name + `"}`
	}
	streamtest.TestProtocol(t, streamtest.Subject{
		Protocol: new(Provider),
		Messages: append(messages,
			streamtest.Message{
				Name: "media", Want: stream.Message{Kind: stream.KindMedia, Payload: []byte{1, 2, 3}, Sequence: 42},
				Data: []byte(`{"event":"media","sequenceNumber":42,"streamId":"` + testStream + `","media":{"track":"inbound","timestamp":"1705312200000","chunk":41,"payload":"AQID"}}`),
			},
			streamtest.Message{Name: "mark", Data: []byte(played(checkpoint.Name)), Want: stream.Message{Kind: stream.KindMark, Mark: 7}},
		),
		Bad: []streamtest.Message{
			{Name: "no JSON", Data: []byte(`event=media`)},
			{Name: "no event", Data: []byte(`{"media":{}}`)},
			{Name: "no base64", Data: []byte(`{"event":"media","media":{"payload":"***"}}`)},
		},
		Far: func(data []byte, _ bool) (streamtest.Sent, error) {
			var m struct {
				Event, StreamID, Name, DTMF string
				Media                       struct {
					ContentType string
					SampleRate  int
					Payload     []byte
				}
			}
			if err := json.Unmarshal(data, &m); err != nil {
				return streamtest.Sent{}, err
			}
			sent := streamtest.Sent{StreamID: m.StreamID, Payload: m.Media.Payload, Keys: m.DTMF}
			switch m.Event {
			case "playAudio":
				sent.Kind = stream.KindMedia
				if m.Media.SampleRate < audio.Telephone.Rate || strings.Contains(m.Media.ContentType, ";") {
					return sent, errors.New("no format that Plivo takes")
				}
			case "clearAudio":
				sent.Kind = stream.KindCleared
			case "sendDTMF":
				sent.Kind = stream.KindKey
			case "checkpoint": // as Plivo returns it
				back, err := decode(played(m.Name))
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
