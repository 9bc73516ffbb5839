package recording

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// A recorder finds what was left of the recording of a call by the call alone,
// whether it was cut short, finished, or began after midnight.
func TestWAVSalvagesTheRecordingOfACall(t *testing.T) {
	evening := time.Date(2026, 3, 14, 23, 59, 0, 0, time.UTC)
	for name, began := range map[string]time.Time{"the same day": evening, "the next day": evening.Add(2 * time.Minute)} {
		t.Run(name, func(t *testing.T) {
			d := &Dir{Path: t.TempDir()}
			r := &WAV{Storage: d}
			info := Info{CallID: "call_1", StartedAt: evening}
			if _, err := r.Salvage(t.Context(), info); !errors.Is(err, ErrNotFound) {
				t.Errorf("nothing there: %v, want ErrNotFound", err)
			}
			key := callKey(info.CallID, began, 1)
			killed(t, d, key, unfinished(4000, 6000))
			rec, err := r.Salvage(t.Context(), info)
			if err != nil {
				t.Fatal(err)
			}
			if rec.Key != key || rec.Duration != audio.Duration(6000, rate) || !rec.Interrupted {
				t.Errorf("recording is %+v", rec)
			}
			again, err := r.Salvage(t.Context(), info)
			if err != nil || again.Key != key || again.Duration != rec.Duration || again.Size != rec.Size {
				t.Errorf("again: %+v, %v", again, err)
			}
			killed(t, d, callKey(info.CallID, began, 2), unfinished(0, 100))
			if rec, err = r.Salvage(t.Context(), info); err != nil || rec.Duration != audio.Duration(100, rate) {
				t.Errorf("the last one: %+v, %v", rec, err)
			}
			other := Info{CallID: "call_2", StartedAt: evening}
			if _, err := r.Salvage(t.Context(), other); !errors.Is(err, ErrNotFound) {
				t.Errorf("another call: %v, want ErrNotFound", err)
			}
		})
	}
}

// What is torn is not called a recording, and stays where it is.
func TestWAVSalvageGuessesNothing(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	r := &WAV{Storage: d}
	info := Info{CallID: "call_1", StartedAt: time.Now()}
	key := callKey(info.CallID, info.StartedAt, 1)
	killed(t, d, key, []byte("no sound"))
	if rec, err := r.Salvage(context.Background(), info); !errors.Is(err, audio.ErrWAV) {
		t.Errorf("salvage: %+v, %v; want audio.ErrWAV", rec, err)
	}
	if _, err := os.Stat(filepath.Join(d.Path, filepath.FromSlash(partName(key)))); err != nil {
		t.Error(err)
	}
}
