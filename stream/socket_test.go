package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// A wireFrame is a frame as it travels, right or wrong.
type wireFrame struct {
	first   byte // final, reserved bits, opcode
	naked   bool // not masked
	length  int  // bytes of the length: 0 (in the second byte), 2, 8; -1: as few as will do
	claims  uint64
	payload string
}

const final = 0x80

func frameOf(first byte, payload string) wireFrame {
	return wireFrame{first: first, length: -1, claims: uint64(len(payload)), payload: payload}
}

func (f wireFrame) append(b []byte) []byte {
	length := f.length
	if length < 0 {
		switch {
		case f.claims < 126:
			length = 0
		case f.claims < 1<<16:
			length = 2
		default:
			length = 8
		}
	}
	masked := byte(0x80)
	if f.naked {
		masked = 0
	}
	b = append(b, f.first)
	switch length {
	case 0:
		b = append(b, masked|byte(f.claims))
	case 2:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(f.claims))
	case 8:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), f.claims)
	}
	if f.naked {
		return append(b, f.payload...)
	}
	mask := [4]byte{0x1b, 0xd0, 0x00, 0xff}
	b = append(b, mask[:]...)
	for i := range len(f.payload) {
		b = append(b, f.payload[i]^mask[i%4])
	}
	return b
}

func bytesOf(frames ...wireFrame) []byte {
	var b []byte
	for _, f := range frames {
		b = f.append(b)
	}
	return b
}

// readOnly is a connection from which r is read.
type readOnly struct {
	net.Conn
	r io.Reader
}

func (c readOnly) Read(p []byte) (int, error) { return c.r.Read(p) }

// readSocket reads all that comes, as "opcode:payload".
func readSocket(r io.Reader, limit int) (got []string, err error) {
	s := socket{conn: readOnly{r: r}, limit: limit}
	for {
		opcode, payload, err := s.read()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%d:%s", opcode, payload))
	}
}

func TestFramesBecomeMessages(t *testing.T) {
	long, longer := strings.Repeat("x", 126), strings.Repeat("y", 1<<16)
	tests := []struct {
		name   string
		frames []wireFrame
		want   []string
	}{
		{"a text", []wireFrame{frameOf(final|opText, "hello")}, []string{"1:hello"}},
		{"a binary message", []wireFrame{frameOf(final|opBinary, "\xff\x00")}, []string{"2:\xff\x00"}},
		{"an empty message", []wireFrame{frameOf(final|opText, "")}, []string{"1:"}},
		{"125 bytes", []wireFrame{frameOf(final|opText, long[1:])}, []string{"1:" + long[1:]}},
		{"126 bytes have a length of 16 bits", []wireFrame{frameOf(final|opText, long)}, []string{"1:" + long}},
		{"65535 bytes still", []wireFrame{frameOf(final|opText, longer[1:])}, []string{"1:" + longer[1:]}},
		{"65536 bytes have a length of 64 bits", []wireFrame{frameOf(final|opText, longer)}, []string{"1:" + longer}},
		{"several in a row", []wireFrame{frameOf(final|opText, "one"), frameOf(final|opBinary, long), frameOf(final|opText, "three")},
			[]string{"1:one", "2:" + long, "1:three"}},
		{"fragments", []wireFrame{frameOf(opText, "a"), frameOf(opContinuation, long), frameOf(final, "c"), frameOf(final|opText, "d")},
			[]string{"1:a" + long + "c", "1:d"}},
		{"empty fragments", []wireFrame{frameOf(opBinary, ""), frameOf(opContinuation, ""), frameOf(final, "c")}, []string{"2:c"}},
		{"nothing in fragments", []wireFrame{frameOf(opBinary, ""), frameOf(final, ""), frameOf(final|opText, "d")}, []string{"2:", "1:d"}},
		{"a letter of two bytes in two fragments", []wireFrame{frameOf(opText, "\xc3"), frameOf(final, "\xa4")}, []string{"1:ä"}},
		{"pings between fragments", []wireFrame{frameOf(opText, "a"), frameOf(final|opPing, "p"), frameOf(opContinuation, "b"),
			frameOf(final|opPong, long[1:]), frameOf(final, "c")},
			[]string{"9:p", "10:" + long[1:], "1:abc"}},
		{"fragments of large messages", []wireFrame{frameOf(opText, longer[:600]), frameOf(final|opPing, ""), frameOf(opContinuation, longer[:3000]), frameOf(final, longer[:5000]), frameOf(final|opText, "d")},
			[]string{"9:", "1:" + longer[:8600], "1:d"}},
	}
	for _, test := range tests {
		wire := bytesOf(test.frames...)
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(wire), "byte by byte": iotest.OneByteReader(bytes.NewReader(wire)),
			"by halves": iotest.HalfReader(bytes.NewReader(wire)), "with its end": iotest.DataErrReader(bytes.NewReader(wire)),
		} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				got, err := readSocket(r, 1<<17)
				if err != io.EOF {
					t.Errorf("read: %v", err)
				}
				if strings.Join(got, "|") != strings.Join(test.want, "|") {
					t.Errorf("got %.80q, want %.80q", got, test.want)
				}
			})
		}
	}
}

func TestBrokenRulesOfWebSocket(t *testing.T) {
	closing := func(code int, reason string) string {
		return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
	}
	text, zeros := frameOf(opText, "a"), strings.Repeat("\x00", 200)
	tests := []struct {
		name   string
		frames []wireFrame
		code   int
	}{
		{"the first reserved bit", []wireFrame{frameOf(final|0x40|opText, "a")}, closeProtocol},
		{"the second", []wireFrame{frameOf(final|0x20|opText, "a")}, closeProtocol},
		{"the third", []wireFrame{frameOf(final|0x10|opPing, "a")}, closeProtocol},
		{"a frame without a mask", []wireFrame{{first: final | opText, naked: true, length: -1, claims: 1, payload: "a"}}, closeProtocol},
		{"a continuation of nothing", []wireFrame{frameOf(final, "a")}, closeProtocol},
		{"a continuation after the end", []wireFrame{text, frameOf(final, "b"), frameOf(opContinuation, "c")}, closeProtocol},
		{"a text within a text", []wireFrame{text, frameOf(final|opText, "b")}, closeProtocol},
		{"a binary message within an empty fragment", []wireFrame{frameOf(opText, ""), frameOf(final|opBinary, "b")}, closeProtocol},
		{"a ping in fragments", []wireFrame{frameOf(opPing, "a")}, closeProtocol},
		{"a close in fragments", []wireFrame{frameOf(opClose, closing(1000, ""))}, closeProtocol},
		{"a ping of 126 bytes", []wireFrame{frameOf(final|opPing, zeros[:126])}, closeProtocol},
		{"a close that claims 64 bits of length", []wireFrame{{first: final | opClose, length: 8, claims: 2, payload: closing(1000, "")}}, closeProtocol},
		{"16 bits for a short length", []wireFrame{{first: final | opText, length: 2, claims: 125, payload: zeros[:125]}}, closeProtocol},
		{"64 bits for a length of 16", []wireFrame{{first: final | opText, length: 8, claims: 200, payload: zeros}}, closeProtocol},
		{"a negative length", []wireFrame{{first: final | opText, length: 8, claims: 1 << 63}}, closeProtocol},
		{"a message that claims too much", []wireFrame{{first: final | opText, length: 8, claims: 1<<63 - 1}}, closeTooBig},
		{"a message of one byte too many", []wireFrame{{first: final | opBinary, length: 2, claims: 1001}}, closeTooBig},
		{"fragments of one byte too many", []wireFrame{frameOf(opText, zeros), frameOf(0, zeros), {length: 2, claims: 601}}, closeTooBig},
		{"text that is not UTF-8", []wireFrame{frameOf(final|opText, "a\xff")}, closeNotUTF8},
		{"text that ends within a letter", []wireFrame{frameOf(opText, "\xc3"), frameOf(final, "")}, closeNotUTF8},
		{"half of a surrogate pair", []wireFrame{frameOf(final|opText, "\xed\xa0\x80")}, closeNotUTF8},
		{"a close with one byte", []wireFrame{frameOf(final|opClose, "\x03")}, closeProtocol},
		{"a reason that is not UTF-8", []wireFrame{frameOf(final|opClose, closing(1000, "\xff"))}, closeNotUTF8},
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests, struct {
			name   string
			frames []wireFrame
			code   int
		}{fmt.Sprintf("opcode %d", opcode), []wireFrame{frameOf(final|opcode, "")}, closeProtocol})
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		tests = append(tests, struct {
			name   string
			frames []wireFrame
			code   int
		}{fmt.Sprintf("a close with %d", code), []wireFrame{frameOf(final|opClose, closing(code, ""))}, closeProtocol})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// What comes after it is not looked at.
			_, err := readSocket(bytes.NewReader(append(bytesOf(test.frames...), zeros...)), 1000)
			var broken brokenRule
			if !errors.As(err, &broken) || broken.code != test.code {
				t.Errorf("read: %v (%+v), want code %d", err, broken, test.code)
			}
		})
	}
}

func TestClosesOfTheFarEnd(t *testing.T) {
	tests := []struct {
		payload string
		want    closed
	}{
		{"", closed{code: closeNoStatus}},
		{"\x03\xe8", closed{code: 1000}},
		{"\x03\xe9bye", closed{1001, "bye"}},
		{"\x03\xf6", closed{code: 1014}},
		{"\x0b\xb8", closed{code: 3000}},
		{"\x13\x87" + strings.Repeat("r", 123), closed{4999, strings.Repeat("r", 123)}},
	}
	for _, test := range tests {
		// In the middle of a message, too.
		wire := bytesOf(frameOf(opText, "a"), frameOf(final|opClose, test.payload))
		got, err := readSocket(bytes.NewReader(wire), 1000)
		if err != error(test.want) || len(got) != 0 {
			t.Errorf("%q: %v, %q", test.payload, err, got)
		}
	}
}

func TestAClaimTakesNoMemory(t *testing.T) {
	s := socket{conn: readOnly{r: bytes.NewReader(bytesOf(wireFrame{first: final | opText, length: 8, claims: 1 << 30, payload: "x"}))}, limit: 1 << 30}
	if _, _, err := s.read(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	if len(s.buf) > firstRead {
		t.Errorf("%d bytes for a message of which one came", len(s.buf))
	}
}

func TestALongMessageDoesNotKeepItsMemory(t *testing.T) {
	wire := bytesOf(frameOf(final|opBinary, strings.Repeat("x", 60_000)), frameOf(final|opText, "short"))
	// The second comes after the first.
	s := socket{conn: readOnly{r: io.MultiReader(bytes.NewReader(wire[:60_008]), bytes.NewReader(wire[60_008:]))}, limit: 1 << 16}
	for range 2 {
		if _, _, err := s.read(); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.buf) > keepRead {
		t.Errorf("%d bytes are kept", len(s.buf))
	}
}

// gorilla is a client and a server's socket that are connected. The client
// breaks its messages into fragments of a few bytes.
func gorilla(t testing.TB) (client *websocket.Conn, s *socket) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	shaken := make(chan error, 1)
	go func() {
		r, err := http.ReadRequest(bufio.NewReader(near))
		if err == nil {
			_, err = (&websocket.Upgrader{}).Upgrade(&pipeWriter{header: http.Header{}, conn: near}, r, nil)
		}
		shaken <- err
	}()
	dialer := websocket.Dialer{
		NetDial:         func(string, string) (net.Conn, error) { return far, nil },
		WriteBufferSize: 50,
	}
	client, _, err := dialer.Dial("ws://calls.test/media", nil)
	if err := errors.Join(err, <-shaken); err != nil {
		t.Fatal(err)
	}
	return client, &socket{conn: near, limit: 1 << 20}
}

// FuzzGorillaAsPeer sends messages both ways between a socket and gorilla.
func FuzzGorillaAsPeer(f *testing.F) {
	f.Add([]byte("hello"), false, uint8(3))
	f.Add([]byte(strings.Repeat("ä", 400)), true, uint8(0))
	f.Add([]byte("\xff"), true, uint8(200))
	f.Add(make([]byte, 1<<16), false, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, text bool, ping uint8) {
		client, s := gorilla(t)
		kind := websocket.BinaryMessage
		if text {
			kind = websocket.TextMessage
		}
		first := data[:min(int(ping), len(data))]
		said := make(chan error, 1)
		go func() {
			w, err := client.NextWriter(kind)
			if err == nil {
				_, err = w.Write(first)
			}
			if err == nil && ping < maxControl {
				err = client.WriteControl(websocket.PingMessage, first, time.Time{})
			}
			if err == nil {
				_, err = w.Write(data[len(first):])
			}
			if err == nil {
				err = w.Close()
			}
			said <- err
		}()
		if ping < maxControl {
			if opcode, got, err := s.read(); opcode != opPing || !bytes.Equal(got, first) || err != nil {
				t.Fatalf("ping: opcode %d, %q, %v", opcode, got, err)
			}
		}
		opcode, got, err := s.read()
		var broken brokenRule
		switch {
		case text && !utf8.Valid(data):
			if !errors.As(err, &broken) || broken.code != closeNotUTF8 {
				t.Fatalf("text that is not UTF-8: %v", err)
			}
		case err != nil || int(opcode) != kind || !bytes.Equal(got, data):
			t.Fatalf("opcode %d, %d bytes of %d, %v", opcode, len(got), len(data), err)
		}
		if err := <-said; err != nil {
			t.Fatal(err)
		}
		go s.conn.Write(seal(byte(kind), append(make([]byte, headRoom), data...)))
		if back, got, err := client.ReadMessage(); err != nil || back != kind || !bytes.Equal(got, data) {
			t.Fatalf("back: opcode %d, %d bytes of %d, %v", back, len(got), len(data), err)
		}
	})
}

// FuzzSocketAgreesWithGorilla reads arbitrary bytes with both. We are stricter:
// what gorilla does not read, we do not; what we refuse and gorilla does not,
// breaks a rule that it does not check.
func FuzzSocketAgreesWithGorilla(f *testing.F) {
	f.Add(bytesOf(frameOf(final|opText, "hello"), frameOf(final|opPing, "p"), frameOf(final|opClose, "\x03\xe8")))
	f.Add(bytesOf(frameOf(opText, "a"), frameOf(final|opPong, "p"), frameOf(0, "b"), frameOf(final, strings.Repeat("c", 300))))
	f.Add(bytesOf(frameOf(final|opBinary, strings.Repeat("c", 1001))))
	f.Add(bytesOf(wireFrame{first: final | opText, length: 2, claims: 1, payload: "x"}, frameOf(final|opText, "\xff")))
	f.Add(bytesOf(frameOf(opText, "a"), frameOf(final|opText, "b")))
	f.Add(bytesOf(frameOf(final|opClose, "\x03\xf6")))
	f.Fuzz(func(t *testing.T, wire []byte) {
		const limit = 1000
		got, err := readSocket(iotest.HalfReader(bytes.NewReader(wire)), limit)
		want := readGorilla(t, wire, limit)
		if len(got) > len(want) || strings.Join(got, "|") != strings.Join(want[:len(got)], "|") {
			t.Fatalf("we read %q, gorilla %q", got, want)
		}
		var broken brokenRule
		if len(got) < len(want) && !errors.As(err, &broken) {
			t.Fatalf("we end with %v after %q, gorilla goes on with %q", err, got, want[len(got):])
		}
	})
}

// readGorilla is readSocket by gorilla.
func readGorilla(t *testing.T, wire []byte, limit int64) (got []string) {
	request := &http.Request{Method: "GET", Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
	conn := &feed{r: bytes.NewReader(wire)}
	ws, err := (&websocket.Upgrader{}).Upgrade(&pipeWriter{header: http.Header{}, conn: conn}, request, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(limit)
	note := func(opcode int) func(string) error {
		return func(payload string) error {
			got = append(got, fmt.Sprintf("%d:%s", opcode, payload))
			return nil
		}
	}
	ws.SetPingHandler(note(opPing))
	ws.SetPongHandler(note(opPong))
	for {
		opcode, payload, err := ws.ReadMessage()
		if err != nil {
			return got
		}
		_ = note(opcode)(string(payload))
	}
}
