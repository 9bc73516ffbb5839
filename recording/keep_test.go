package recording

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

func TestKeepStoresAFileAsItIs(t *testing.T) {
	began := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	for name, rate := range map[string]int{"telephone": 8000, "wide": 16000} {
		t.Run(name, func(t *testing.T) {
			st := &Memory{}
			w := &WAV{Storage: st}
			file := audio.AppendWAVHeader(nil, audio.Format{Encoding: audio.PCM16, Rate: rate}, 2, int64(rate))
			file = append(file, make([]byte, 4*rate)...)
			file = append(file, "LIST\x04\x00\x00\x00INFO"...)
			rec, err := w.Keep(t.Context(), Info{CallID: "call", StartedAt: began}, bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			want := Recording{Storage: "memory", Key: "2026/03/14/call.wav", Format: "wav", Channels: 2, Rate: rate, Duration: time.Second, Size: int64(len(file)), CreatedAt: began}
			if rec != want {
				t.Errorf("%+v, want %+v", rec, want)
			}
			holds(t, st, rec.Key, string(file))
			again, err := w.Keep(t.Context(), Info{CallID: "call", StartedAt: began}, bytes.NewReader(file))
			if err != nil || again.Key != "2026/03/14/call-2.wav" {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}

// When the call began may not be known: then it is now, as for Record.
func TestKeepWithoutABeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := append(audio.AppendWAVHeader(nil, audio.Telephone, 1, 8000), make([]byte, 16000)...)
		rec, err := (&WAV{Storage: &Memory{}}).Keep(t.Context(), Info{CallID: "call"}, bytes.NewReader(file))
		if err != nil || rec.Key != "2000/01/01/call.wav" || !rec.CreatedAt.Equal(time.Now()) {
			t.Errorf("%+v, %v", rec, err)
		}
	})
}

// A stream of no end is given up where no WAV file can go on.
func TestKeepTakesNoMoreThanAFileCanBe(t *testing.T) {
	c := counter{w: io.Discard, n: maxKept - 1}
	if _, err := c.Write([]byte{0}); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte{0}); !errors.Is(err, audio.ErrWAV) || c.n != maxKept {
		t.Errorf("%v after %d bytes, want ErrWAV", err, c.n)
	}
}

func TestKeepRefusesWhatIsNotWhole(t *testing.T) {
	whole := append(audio.AppendWAVHeader(nil, audio.Telephone, 1, 8000), make([]byte, 8000)...)
	for name, data := range map[string]string{
		"nothing": "", "a page": "<html>", "a header that ends": string(whole[:20]), "sound that ends": string(whole[:4000]),
	} {
		st := &Memory{}
		_, err := (&WAV{Storage: st}).Keep(t.Context(), Info{CallID: "call", StartedAt: time.Now()}, strings.NewReader(data))
		if !errors.Is(err, audio.ErrWAV) {
			t.Errorf("%s: %v, want ErrWAV", name, err)
		}
		if len(st.files) != 0 {
			t.Errorf("%s: something is left", name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&WAV{Storage: &Memory{}}).Keep(ended, Info{CallID: "call"}, bytes.NewReader(whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if _, err := (&WAV{Storage: &Memory{}}).Keep(t.Context(), Info{CallID: "call", Storage: "far"}, bytes.NewReader(whole)); !errors.Is(err, ErrUnknownStorage) {
		t.Errorf("error is %v, want ErrUnknownStorage", err)
	}
}
