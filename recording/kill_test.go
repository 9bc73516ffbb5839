package recording

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// childDir is set in a process that does nothing but record calls into it.
const childDir = "SWITCHBOARD_TEST_RECORD"

// recordForever records two calls in real time until the process is killed, and
// writes a byte for each frame that both have got.
func recordForever(dir string) error {
	disk := &slowDisk{Dir: &Dir{Path: dir}}
	w := &WAV{Storage: disk}
	var sinks []Sink
	for call := range 2 {
		sink, err := w.Record(context.Background(), Info{CallID: fmt.Sprint("call-", call), Format: audio.Telephone, StartedAt: time.Now()})
		if err != nil {
			return err
		}
		sinks = append(sinks, sink)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	for i := 0; ; i++ {
		disk.wait()
		for _, sink := range sinks {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			sink.WriteFrame(frame(audio.Outbound, 160*i, 160))
		}
		if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
			return err
		}
		<-tick.C
	}
}

// slowDisk is a Dir for whose disk the calls wait: how much is lost is not to
// depend on how long the disk of a busy machine takes for a write.
type slowDisk struct {
	*Dir
	mu sync.RWMutex // held while something is being written
}

func (d *slowDisk) wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
}

func (d *slowDisk) Create(ctx context.Context, key string) (File, error) {
	f, err := d.Dir.Create(ctx, key)
	return slowFile{f, d}, err
}

type slowFile struct {
	File
	disk *slowDisk
}

func (f slowFile) WriteAt(p []byte, at int64) (int, error) {
	f.disk.mu.RLock()
	defer f.disk.mu.RUnlock()
	return f.File.WriteAt(p, at)
}

func (f slowFile) Sync() error {
	f.disk.mu.RLock()
	defer f.disk.mu.RUnlock()
	return f.File.Sync()
}

// A process that records is killed a hundred times, after any frame. What it leaves
// plays as it lies there, by players that know nothing of us, too, where they are
// installed; and a second is lost at most.
func TestRecordingSurvivesAHundredKills(t *testing.T) {
	const kills, atOnce = 100, 10
	var mu sync.Mutex
	var worst, sum time.Duration
	files := 0
	var wg sync.WaitGroup
	for worker := range atOnce {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		wg.Go(func() {
			for kill := range kills / atOnce {
				var ask [][]string
				if kill == 0 { // to start them takes longer than to record
					ask = players()
				}
				d := &Dir{Path: t.TempDir()}
				said, err := killProcess(d.Path, 1+random.Int64N(125))
				if err != nil {
					t.Error(err)
					return
				}
				lost := left(t, d, said, ask)
				mu.Lock()
				for _, l := range lost {
					worst, sum, files = max(worst, l), sum+l, files+1
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if files != 2*kills {
		t.Fatalf("%d recordings of %d kills", files, kills)
	}
	t.Logf("%d recordings of %d kills: lost %v at most, %v on average; players: %v", files, kills, worst, sum/time.Duration(files), players())
	if worst > time.Second {
		t.Errorf("%v were lost", worst)
	}
}

// killProcess has a process record so many frames into dir, kills it, and returns
// how much sound it had been given.
func killProcess(dir string, frames int64) (said time.Duration, err error) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	if n, err := io.CopyN(io.Discard, out, frames); err != nil {
		return 0, fmt.Errorf("it ended after %d frames: %w", n, err)
	}
	if err := child.Process.Kill(); err != nil {
		return 0, err
	}
	rest, err := io.Copy(io.Discard, out)
	if err != nil {
		return 0, err
	}
	_ = child.Wait() // it was killed
	return time.Duration(frames+rest) * 20 * time.Millisecond, nil
}

// left judges what a killed process has left, and returns how much of what was
// said each recording has lost.
func left(t *testing.T, d *Dir, said time.Duration, players [][]string) (lost []time.Duration) {
	keys, err := d.Unfinished()
	if err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		path := filepath.Join(d.Path, partName(key))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		asItLies, problem := parseWAV(data)
		if problem != "" {
			t.Errorf("as it lies there: %s", problem)
			continue
		}
		playsFor(t, players, path, audio.Duration(len(asItLies.tracks[0]), rate))
		rec, err := d.Salvage(context.Background(), key)
		if err != nil || !rec.Interrupted {
			t.Errorf("Salvage: %+v, %v", rec, err)
			continue
		}
		path = filepath.Join(d.Path, key)
		if data, err = os.ReadFile(path); err != nil {
			t.Error(err)
			continue
		}
		whole, problem := parseWAV(data)
		if problem != "" || audio.Duration(len(whole.tracks[0]), rate) != rec.Duration {
			t.Errorf("salvaged: %s, %+v", problem, rec)
		}
		for side, track := range whole.tracks {
			if last := len(track) - 160; side == 1 && last >= 0 && !slices.ContainsFunc(track[last:], func(v int16) bool { return v != 0 }) {
				track = track[:last] // written after the caller had spoken and before the agent did
			}
			for pos, v := range track {
				if v != value(audio.Track(side), pos) {
					t.Errorf("side %d differs at sample %d of %d", side, pos, len(track))
					break
				}
			}
		}
		playsFor(t, players, path, rec.Duration)
		lost = append(lost, said-rec.Duration)
	}
	return lost
}

// players are programs of others that say how long a file plays, as far as they
// are installed.
func players() (installed [][]string) {
	for _, p := range [][]string{
		{"soxi", "-D"},
		{"ffprobe", "-v", "error", "-f", "wav", "-show_entries", "format=duration", "-of", "csv=p=0"},
	} {
		if _, err := exec.LookPath(p[0]); err == nil {
			installed = append(installed, p)
		}
	}
	return installed
}

// playsFor asks them. The name of a file that is being written tells soxi nothing.
func playsFor(t *testing.T, players [][]string, path string, want time.Duration) {
	for _, p := range players {
		args := p[1:]
		if p[0] == "soxi" && filepath.Ext(path) != ".wav" {
			link := path + ".wav"
			if err := os.Link(path, link); err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = os.Remove(link) }()
			path = link
		}
		out, err := exec.Command(p[0], append(args, path)...).CombinedOutput()
		seconds, parseErr := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if want == 0 && strings.TrimSpace(string(out)) == "N/A" {
			continue // an empty file has no length for some
		}
		got := time.Duration(seconds * float64(time.Second))
		if err != nil || parseErr != nil || max(got-want, want-got) > time.Millisecond {
			t.Errorf("%s says %q, %v; want %v", p[0], out, err, want)
		}
	}
}
