package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/switchboard-voice/switchboard/audio"
)

func TestPCMDecode(t *testing.T) {
	tests := []struct {
		name, data string
		binary     bool
		want       Message // Kind 0 and no error: not checked further
		bad        bool
	}{
		{"samples", "\x01\x02\x03\x04", true, Message{Kind: KindMedia, Payload: []byte{1, 2, 3, 4}}, false},
		{"half a sample", "\x01\x02\x03", true, Message{}, true},
		{"no sample", "", true, Message{}, true},
		{"start", `{"event":"start","rate":24000}`, false, Message{Kind: KindStart, Format: audio.Format{Rate: 24000}}, false},
		{"start with parameters", ` { "rate" : 8000, "params":{"a":"b"}, "event" : "start" } `, false,
			Message{Kind: KindStart, Format: audio.Format{Rate: 8000}, Params: map[string]string{"a": "b"}}, false},
		{"start with a rate that is no number", `{"event":"start","rate":"x"}`, false, Message{}, true},
		{"mark", `{"event":"mark","mark":7}`, false, Message{Kind: KindMark, Mark: 7}, false},
		{"mark in another order", `{"mark":4294967295,"x":[{"event":"stop"}],"event":"mark"}`, false, Message{Kind: KindMark, Mark: 1<<32 - 1}, false},
		{"mark too large", `{"event":"mark","mark":4294967296}`, false, Message{}, true},
		{"mark without a number", `{"event":"mark"}`, false, Message{}, true},
		{"key", `{"event":"key","digit":"#"}`, false, Message{Kind: KindKey, Digit: '#'}, false},
		{"key that is none", `{"event":"key","digit":"E"}`, false, Message{}, true},
		{"two keys", `{"event":"key","digit":"12"}`, false, Message{}, true},
		{"cleared", `{"event":"clear"}`, false, Message{Kind: KindCleared}, false},
		{"stop", `{"event":"stop"}`, false, Message{Kind: KindStop}, false},
		{"an event of the host's", `{"event":"volume","value":{"a":"}"}}`, false,
			Message{Kind: KindText, Text: []byte(`{"event":"volume","value":{"a":"}"}}`)}, false},
		{"no event", `{"mark":1}`, false, Message{}, true},
		{"two events", `{"event":"stop","event":"clear"}`, false, Message{}, true},
		{"an event that is no string", `{"event":["stop"]}`, false, Message{}, true},
		{"an event within", `{"x":{"event":"stop"}}`, false, Message{}, true},
		{"a list", `["event","stop"]`, false, Message{}, true},
		{"nothing", ``, false, Message{}, true},
		{"cut off", `{"event":"sto`, false, Message{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var m Message
			m.Reset()
			test.want.Sequence, test.want.Chunk, test.want.Timestamp = -1, -1, -1
			err := PCM{}.Decode(&m, []byte(test.data), test.binary)
			if test.bad {
				if !errors.Is(err, ErrMessage) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(m)
			want, _ := json.Marshal(test.want)
			if !bytes.Equal(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func FuzzPCMDecode(f *testing.F) {
	f.Add([]byte(`{"event":"start","rate":16000,"params":{"a":"b"}}`), false)
	f.Add([]byte(`{"event":"mark","mark":7}`), false)
	f.Add([]byte(`{"x":["\"}",{}],"event":"key","digit":"1"}`), false)
	f.Add([]byte(`{"event":"a\"b" , "y" : -1.5e3}`), false)
	f.Add([]byte{1, 2}, true)
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		var m Message
		m.Reset()
		err := PCM{}.Decode(&m, slices.Clone(data), binary)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatal(err)
			}
			return
		}
		if binary {
			return
		}
		// What we find in it is what encoding/json finds.
		var found map[string]json.RawMessage
		if err := json.Unmarshal(data, &found); err != nil {
			t.Fatalf("%v of %q", err, data)
		}
		switch m.Kind {
		case KindMark:
			if string(found["event"]) != `"mark"` {
				t.Fatalf("mark of %q", data)
			}
		case KindStop:
			if string(found["event"]) != `"stop"` {
				t.Fatalf("stop of %q", data)
			}
		}
	})
}

func TestPCMDecodesWithoutAllocating(t *testing.T) {
	var m Message
	media, mark := make([]byte, 640), []byte(`{"event":"mark","mark":12345}`)
	allocs := testing.AllocsPerRun(1000, func() {
		m.Reset()
		if (PCM{}).Decode(&m, media, true) != nil || (PCM{}).Decode(&m, mark, false) != nil {
			t.Fatal("not decoded")
		}
	})
	if allocs != 0 && !raceEnabled {
		t.Errorf("%v allocations", allocs)
	}
}

func TestBrowserTalksPCM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{}
		c, ws := connect(t, g, PCM{})
		s := newStory(c)
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context(), s) }()
		said := make(chan string, 100)
		listening := make(chan struct{})
		go func() {
			defer close(listening)
			for {
				typ, data, err := ws.ReadMessage()
				if err != nil {
					return
				}
				if typ == websocket.BinaryMessage {
					said <- "audio"
				} else {
					said <- string(data)
				}
			}
		}()
		text := func(v string) { ws.WriteMessage(websocket.TextMessage, []byte(v)) }
		text(`{"event":"start","rate":24000}`)
		<-s.started
		text(`{"event":"volume","value":3}`)
		text(`{"event":"key","digit":"5"}`)
		ws.WriteMessage(websocket.BinaryMessage, make([]byte, 4800)) // 100 ms
		synctest.Wait()
		if c.Format() != (audio.Format{Encoding: audio.PCM16, Rate: 24000}) || s.in != 2400 {
			t.Errorf("%v, %d samples", c.Format(), s.in)
		}
		if len(s.texts) != 1 || string(s.keys) != "5" {
			t.Errorf("texts %q, keys %q", s.texts, s.keys)
		}
		c.Write(make([]int16, 480))
		pos := c.Mark()
		c.SendText([]byte(`{"event":"caption"}`))
		synctest.Wait()
		var got []string
		for len(said) > 0 {
			got = append(got, <-said)
		}
		slices.Sort(got) // a text may overtake audio
		if want := []string{"audio", `{"event":"caption"}`, `{"event":"mark","mark":1}`}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		time.Sleep(20 * time.Millisecond)
		text(`{"event":"mark","mark":1}`)
		synctest.Wait()
		if len(s.heard) != 1 || s.heard[0].pos != pos || !s.heard[0].confirmed {
			t.Errorf("told %+v", s.heard)
		}
		text(`{"event":"stop"}`)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ws.Close()
		<-listening
		g.Close()
	})
}
