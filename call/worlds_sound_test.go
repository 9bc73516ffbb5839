package call_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Whoever speaks in a world has a tone of its own, which tells on a recording
// who was heard.
const (
	holdMark  = 250.0
	firstMark = 400.0
	markStep  = 100.0 // from one to the next
)

// personMark and agentMark are the tones of the nth part.
func personMark(n int) float64 { return firstMark + 2*markStep*float64(n) }
func agentMark(n int) float64  { return personMark(n) + markStep }

// mark is sound with a tone.
func mark(hz float64, d time.Duration) audio.Reader { return tone(hz, d) }

const markFrame = 160 // samples in which a tone is looked for, at 8 kHz

// marksIn returns for how long each tone is heard in a track, by its number of
// steps from firstMark, which is -1.5 for holdMark. What is shorter than 60 ms
// does not count. The tone is that of the zero crossings, which is enough to tell
// tones apart that are never mixed.
func marksIn(pcm []int16) map[float64]time.Duration {
	found := make(map[float64]time.Duration)
	last, run := math.NaN(), 0
	for ; len(pcm) >= markFrame; pcm = pcm[markFrame:] {
		now := markOf(pcm[:markFrame])
		if now != last {
			last, run = now, 0
		}
		run++
		switch {
		case math.IsNaN(now) || run < 3:
		case run == 3:
			found[now] += 3 * 20 * time.Millisecond
		default:
			found[now] += 20 * time.Millisecond
		}
	}
	return found
}

func markOf(pcm []int16) float64 {
	first, lastAt, crossings := 0, 0, 0
	var energy float64
	for i, v := range pcm {
		energy += float64(v) * float64(v)
		if i > 0 && (pcm[i-1] < 0) != (v < 0) {
			if crossings == 0 {
				first = i
			}
			lastAt = i
			crossings++
		}
	}
	if energy/float64(len(pcm)) < 500*500 || crossings < 3 {
		return math.NaN()
	}
	hz := 4000 * float64(crossings-1) / float64(lastAt-first)
	steps := math.Round(2*(hz-firstMark)/markStep) / 2
	if math.Abs(firstMark+steps*markStep-hz) > 20 {
		return math.NaN()
	}
	return steps
}

// tracksOf reads a recording.
func tracksOf(r io.Reader) (caller, agent []int16, err error) {
	wav, err := audio.NewWAVReader(r)
	if err != nil {
		return nil, nil, err
	}
	buf := make([]int16, 4096)
	for {
		n, err := wav.ReadPCM(buf)
		for i := 0; i+1 < n; i += 2 {
			caller, agent = append(caller, buf[i]), append(agent, buf[i+1])
		}
		if err == io.EOF {
			return caller, agent, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// watchedRecorder is a WAV of which is noted when it is told what.
type watchedRecorder struct {
	recording.WAV
	process *process
}

func (r *watchedRecorder) Record(ctx context.Context, info recording.Info) (recording.Sink, error) {
	sink, err := r.WAV.Record(ctx, info)
	if err != nil {
		return nil, err
	}
	return r.process.world.bug.onRecord(&watchedSink{Sink: sink, process: r.process, id: info.CallID}), nil
}

type watchedSink struct {
	recording.Sink
	process *process
	id      string
	over    bool
}

func (s *watchedSink) WriteFrame(f *audio.Frame) {
	if s.over && !s.process.dead.Load() {
		s.process.world.breaks("S5", "%s: sound after its recording was closed", s.id)
	}
	s.Sink.WriteFrame(f)
}

func (s *watchedSink) Close(ctx context.Context, end time.Duration) (recording.Recording, error) {
	s.process.closes(s.id, "recording")
	s.over = true
	return s.Sink.Close(ctx, end)
}

// listener is a transcriber that hears a word in each half second of the
// caller's, and says some of them twice, or late.
type listener struct{ process *process }

func (l *listener) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	return &ear{process: l.process, info: info}, nil
}

type ear struct {
	process *process
	info    transcript.Info
	frames  int
	last    time.Duration // when the last one began
	words   int
	kept    *transcript.Segment // to be told after the next one
}

func (e *ear) WriteFrame(f *audio.Frame) {
	if f.Track != audio.Inbound {
		return
	}
	e.last = f.At
	if e.frames++; e.frames%25 == 0 {
		e.hear(f.At)
	}
}

// hear tells of a word.
func (e *ear) hear(at time.Duration) {
	e.words++
	s := transcript.Segment{
		ID: fmt.Sprint("s", e.words), Speaker: transcript.Customer, At: at, End: at,
		Text: fmt.Sprintf("%s word %d", e.info.CallID, e.words), Confidence: 1, Final: true,
	}
	w := e.process.world
	if !e.process.dead.Load() {
		w.mu.Lock()
		w.words[e.info.CallID] = append(w.words[e.info.CallID], s.Text)
		w.mu.Unlock()
	}
	interim := s
	interim.Final, interim.Text = false, "word?"
	switch e.words % 4 {
	case 1:
		e.info.Emit(interim)
		e.tell(s)
	case 2:
		e.tell(s)
		e.tell(s)
		e.info.Emit(interim)
	case 3:
		e.kept = &s
		return
	default:
		e.tell(s)
	}
	if e.kept != nil {
		e.tell(*e.kept)
		e.kept = nil
	}
}

func (e *ear) tell(s transcript.Segment) { e.process.world.bug.onWord(e, s) }

func (e *ear) Close(context.Context) error {
	e.process.closes(e.info.CallID, "transcript")
	e.hear(e.last + 20*time.Millisecond)
	if e.kept != nil {
		e.tell(*e.kept)
	}
	return nil
}
