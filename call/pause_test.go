package call_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// ears is a Transcriber that keeps what it hears.
type ears struct{ heard [2][]int16 }

func (e *ears) Transcribe(context.Context, transcript.Info) (transcript.Sink, error) { return e, nil }
func (e *ears) Close(context.Context) error                                          { return nil }
func (e *ears) WriteFrame(f *audio.Frame) {
	track := &e.heard[f.Track]
	if at := audio.Samples(f.At, f.Format.Rate); at > len(*track) {
		*track = append(*track, make([]int16, at-len(*track))...)
	}
	*track = append(*track, f.PCM...)
}

// marked is a sound of which not the least piece looks like silence, speech or a
// tone: each two samples of it are the same, and those of no other sound here.
func marked(value int16, d time.Duration) audio.Reader {
	value = audio.AppendDecode(nil, audio.MuLaw, audio.AppendEncode(nil, audio.MuLaw, []int16{value}))[0]
	return audio.NewSamples(slices.Repeat([]int16{value, -value}, audio.Samples(d, 8000)/2), 8000)
}

// pieces are what a piece of such a sound looks like, in the ways that it could
// get onto a disk.
func pieces(value int16) [][]byte {
	code := audio.AppendEncode(nil, audio.MuLaw, []int16{value, -value})
	pcm := audio.AppendDecode(nil, audio.MuLaw, code)
	var mono []byte
	le := binary.LittleEndian
	for range 2 {
		mono = le.AppendUint16(le.AppendUint16(mono, uint16(pcm[0])), uint16(pcm[1]))
	}
	one := append(append(append([]byte(nil), mono[:2]...), 0, 0), mono[2:4]...) // of two channels
	return [][]byte{bytes.Repeat(code, 4), mono, one}
}

// A caller tells the number of a card. Nothing of it is in the recording, at any
// moment, nor in the transcript, the events or the log: neither what was said, by
// either side, nor the keys; and silence of the right length stands there.
func TestNothingOfAPauseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret, readBack = 11900, 7900
		var log bytes.Buffer
		dir := &recording.Dir{Path: t.TempDir()}
		heard := &ears{}
		var from, to time.Duration
		var keys []byte
		scan := func(when string) {
			t.Helper()
			for name, data := range filesOf(t, dir.Path) {
				for _, piece := range slices.Concat(pieces(secret), pieces(readBack)) {
					if bytes.Contains(data, piece) {
						t.Errorf("%s: %s has what was said in the pause", when, name)
					}
				}
			}
		}
		ask := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_, _ = s.Say(call.Utterance{Audio: tone(440, 2*time.Second), Text: "What is the number?"}).Wait(ctx)
			if err := s.PauseRecording(ctx); err != nil {
				t.Error(err)
			}
			from = s.Now()
			if err := s.PauseRecording(ctx); err != nil {
				t.Errorf("paused twice: %v", err)
			}
			for len(keys) < 4 {
				keys = append(keys, <-s.Keys())
			}
			s.AddSegment(transcript.Segment{Speaker: transcript.Customer, Text: "four seven one one", At: from + time.Second, End: from + 2*time.Second, Final: true})
			_, _ = s.Say(call.Utterance{Audio: marked(readBack, 2*time.Second), Text: "Four seven one one?"}).Wait(ctx)
			time.Sleep(8 * time.Second)
			scan("in the pause")
			to = s.Now()
			if !s.Call().RecordingPaused {
				t.Error("the record does not tell")
			}
			if err := s.ResumeRecording(ctx); err != nil {
				t.Error(err)
			}
			if err := s.ResumeRecording(ctx); err != nil {
				t.Errorf("resumed twice: %v", err)
			}
			_, err := s.Say(call.Utterance{Audio: tone(880, 2*time.Second), Text: "Thank you."}).Wait(ctx)
			time.Sleep(2 * time.Second)
			return err
		})
		o := newOffice(t, ask, func(c *call.Config) {
			c.Recorder, c.Transcriber = &recording.WAV{Storage: dir}, heard
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c.Interruption = call.Interruption{Mode: call.Never, IgnoreKeys: true}
		})
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			_ = k.Say(tone(600, 2*time.Second))
			time.Sleep(500 * time.Millisecond)
			_ = k.Press("4711")
			_ = k.Say(marked(secret, 6*time.Second))
			time.Sleep(4 * time.Second)
			_ = k.Say(tone(1000, time.Second))
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{Record: true, Transcribe: true}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		scan("after the call")
		if string(keys) != "4711" {
			t.Errorf("the agent got the keys %q", keys)
		}

		f, err := dir.Open(t.Context(), c.Recording.Key)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tracks, _, err := audio.ReadWAV(f)
		if err != nil {
			t.Fatal(err)
		}
		// What arrived before the pause is there; the telephone is some 100 ms away.
		const travel = 150 * time.Millisecond
		at := func(d time.Duration) int { return audio.Samples(d, 8000) }
		for side, pcm := range tracks {
			quiet := pcm[at(from+travel):at(to)]
			if i := slices.IndexFunc(quiet, func(v int16) bool { return v != 0 }); i >= 0 {
				t.Errorf("side %d is not silent %v after the pause began", side, audio.Duration(i, 8000)+travel)
			}
			if first := slices.IndexFunc(pcm[at(to):], func(v int16) bool { return max(v, -v) > 100 }); first < 0 || audio.Duration(first, 8000) > time.Second {
				t.Errorf("side %d: nothing %v after the pause", side, audio.Duration(first, 8000))
			}
		}
		audiotest.HasTone(t, tracks[0][at(to):], 8000, 1000)
		audiotest.HasTone(t, tracks[1][at(to):], 8000, 880)
		audiotest.HasTone(t, tracks[1][:at(from)], 8000, 440)
		for side, pcm := range heard.heard {
			if slices.ContainsFunc(pcm[at(from+travel):at(to)], func(v int16) bool { return v != 0 }) {
				t.Errorf("the recogniser heard side %d in the pause", side)
			}
		}
		if len(c.Transcript) != 2 || c.Transcript[0].Text != "What is the number?" || c.Transcript[1].Text != "Thank you." {
			t.Errorf("transcript %+v", c.Transcript)
		}
		events, err := o.Events(t.Context(), c.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		said, err := json.Marshal(struct {
			Call   *call.Call
			Events []call.Event
			Log    string
		}{c, events, log.String()})
		if err != nil {
			t.Fatal(err)
		}
		var pauses []string
		pressed := 0
		for _, e := range events {
			switch e.Type {
			case call.EventPause:
				pauses = append(pauses, e.Name)
			case call.EventKey:
				pressed++
				if e.Key != "" {
					t.Errorf("the events have the key %s", e.Key)
				}
			}
		}
		if !slices.Equal(pauses, []string{"on", "off"}) || pressed != 4 || c.RecordingPaused {
			t.Errorf("pauses %q, %d keys, paused %t", pauses, pressed, c.RecordingPaused)
		}
		if strings.Contains(strings.ToLower(string(said)), "seven") {
			t.Errorf("words of the pause were kept: %s", said)
		}
	})
}

// filesOf are all files below a directory.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("nothing is being recorded")
	}
	return files
}

// The scan of TestNothingOfAPauseIsKept finds the sound where there is no pause.
func TestWhatIsSaidWithoutAPauseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := &recording.Dir{Path: t.TempDir()}
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			time.Sleep(2 * time.Second) // while the caller speaks
			_, err := s.Speak(marked(7900, 2*time.Second)).Wait(ctx)
			return err
		}), func(c *call.Config) {
			c.Recorder = &recording.WAV{Storage: dir}
			c.Interruption = call.Interruption{Mode: call.Never, IgnoreKeys: true}
		})
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { _ = k.Say(marked(11900, time.Second)); <-k.Done() }})
		o.wait(o.place(call.Options{Record: true}).ID)
		for _, data := range filesOf(t, dir.Path) {
			for _, value := range []int16{11900, 7900} {
				if !slices.ContainsFunc(pieces(value), func(piece []byte) bool { return bytes.Contains(data, piece) }) {
					t.Errorf("the sound of %d is not found where it is", value)
				}
			}
		}
	})
}

// A call can be paused from outside, with what its carrier records, and ends well
// while it is paused.
func TestPauseOfACallThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, _ *call.Session) error { <-ctx.Done(); return nil }), nil)
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
		id := o.place(call.Options{Record: true}).ID
		if err := o.PauseRecording(t.Context(), id); !errors.Is(err, telephony.ErrCallState) {
			t.Errorf("before there is any sound: %v", err)
		}
		time.Sleep(5 * time.Second)
		mark, err := o.StartCarrierRecording(t.Context(), id, telephony.RecordRequest{})
		if err != nil {
			t.Fatal(err)
		}
		err = o.PauseRecording(t.Context(), id)
		if pauses := *carrier == "twilio"; pauses != (err == nil) || !pauses && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("with recording %s of the carrier's: %v", mark, err)
		}
		if c, err := o.Call(t.Context(), id); err != nil || !c.RecordingPaused {
			t.Errorf("ours is paused: %v, %v", c, err)
		}
		time.Sleep(5 * time.Second)
		done := make(chan error, 1)
		go func() { done <- o.ResumeRecording(t.Context(), id) }()
		if err := o.Hangup(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, call.ErrEnded) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, telephony.ErrCallState) && !errors.Is(err, telephony.ErrCallGone) {
			t.Errorf("resumed while it ended: %v", err)
		}
		c := o.wait(id)
		if c.RecordingPaused || c.Recording == nil || c.Recording.Duration < 9*time.Second {
			t.Errorf("paused %t, recording %+v", c.RecordingPaused, c.Recording)
		}
		if err := o.PauseRecording(t.Context(), id); !errors.Is(err, call.ErrEnded) {
			t.Errorf("after the call: %v", err)
		}
	})
}
