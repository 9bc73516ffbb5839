package recording

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// childFull is set in a process that fills a small disk with recordings.
const childFull = "SWITCHBOARD_TEST_FULL"

func init() { children[childFull] = tellFilled }

// filled is what such a process tells.
type filled struct {
	Disk        string    // what kind it was
	First, Next Recording // on the full disk; and after there was room again
	Failed      string    // how the first one did
	File, After []byte    // what is there of them
}

const smallDisk = 512 << 10

// fillDisk records on a disk of its own in dir, which nobody else sees: a tmpfs
// where one may be mounted, and otherwise one on which no file gets large.
func fillDisk(dir string) (told filled, err error) {
	told.Disk = "tmpfs"
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", smallDisk)); err != nil {
		told.Disk = "files of limited size"
		signal.Ignore(syscall.SIGXFSZ) // the write fails then
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: smallDisk, Max: smallDisk}); err != nil {
			return told, err
		}
	}
	d := &Dir{Path: dir}
	w := &WAV{Storage: d, Buffer: time.Minute} // more than is said: the disk need not keep up
	record := func(id string, seconds int) (Recording, []byte, error) {
		sink, err := w.Record(context.Background(), Info{CallID: id, Format: audio.Telephone, StartedAt: time.Now()})
		if err != nil {
			return Recording{}, nil, err
		}
		for i := range 50 * seconds {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			sink.WriteFrame(frame(audio.Outbound, 160*i, 160))
		}
		rec, failed := sink.Close(context.Background(), time.Duration(seconds)*time.Second)
		data, err := os.ReadFile(filepath.Join(dir, rec.Key))
		if err != nil {
			return rec, nil, err
		}
		told.Failed += fmt.Sprint(failed, "\n")
		return rec, data, nil
	}
	if told.First, told.File, err = record("full", 30); err != nil {
		return told, fmt.Errorf("on the full disk: %w", err)
	}
	if err := w.Erase(context.Background(), told.First); err != nil {
		return told, err
	}
	told.Next, told.After, err = record("next", 2)
	return told, err
}

// tellFilled is the whole of the process.
func tellFilled(dir string) error {
	told, err := fillDisk(dir)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

// A disk that is full takes nothing of the call but what did not fit: what did
// plays, is exact, and says that it was cut off. The next call is recorded whole
// once there is room.
func TestRealDiskThatIsFull(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFull+"="+t.TempDir())
	child.Stderr = os.Stderr
	if os.Getuid() == 0 { // what it mounts is seen by nobody else, and goes with it
		child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	out, err := child.Output()
	if err != nil && os.Getuid() == 0 && len(out) == 0 { // not even root may, in some containers
		child = exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childFull+"="+t.TempDir())
		child.Stderr = os.Stderr
		out, err = child.Output()
	}
	if err != nil {
		t.Fatal(err)
	}
	var told filled
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	t.Logf("on %s of %d bytes: %v of 30s kept in %d bytes; then %v of 2s", told.Disk, smallDisk, told.First.Duration, told.First.Size, told.Next.Duration)
	for _, r := range []struct {
		rec  Recording
		data []byte
	}{{told.First, told.File}, {told.Next, told.After}} {
		file := parse(t, r.data)
		if got := audio.Duration(len(file.tracks[0]), rate); got != r.rec.Duration || int64(len(r.data)) != r.rec.Size {
			t.Errorf("the file plays for %v in %d bytes: %+v", got, len(r.data), r.rec)
		}
		for side, track := range file.tracks {
			for pos, v := range track {
				if v != value(audio.Track(side), pos) {
					t.Fatalf("side %d differs at sample %d of %d", side, pos, len(track))
				}
			}
		}
	}
	if !told.First.Truncated || told.First.Duration < 10*time.Second || told.First.Size > smallDisk {
		t.Errorf("on the full disk: %+v, %s", told.First, told.Failed)
	}
	if told.Next.Truncated || told.Next.Duration != 2*time.Second {
		t.Errorf("after it: %+v, %s", told.Next, told.Failed)
	}
}
