//go:build unix

package s3store

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/recording"
)

// What a process that is to be killed is told.
const (
	victimSpool  = "S3STORE_VICTIM_SPOOL" // the directory
	victimBucket = "S3STORE_VICTIM_BUCKET"
	victimServer = "S3STORE_VICTIM_SERVER"
	victimRound  = "S3STORE_VICTIM_ROUND"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimSpool) != "" {
		fmt.Fprintln(os.Stderr, victim())
		os.Exit(1)
	}
	s3test.Main(m)
}

// victim records calls and goes on to bring them away until it is killed. Some
// always wait. It tells of each that is kept, as each upload begins, and as it
// ends.
func victim() error {
	const backlog = 3
	remote := hear(victims(os.Getenv(victimServer), os.Getenv(victimBucket)))
	spool := &recording.Spool{Local: &recording.Dir{Path: os.Getenv(victimSpool)}, MinFree: -1, Parallel: 2, Remote: talkative{remote}}
	if err := spool.Start(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("round-%s/call-%d.wav", os.Getenv(victimRound), i)
		f, err := spool.Create(context.Background(), key)
		if err != nil {
			return err
		}
		if _, err := f.Write(sound(victimSize(i))); err != nil {
			return err
		}
		if err := f.Commit(context.Background()); err != nil {
			return err
		}
		fmt.Println("kept", key, i)
		for spool.Stats().Pending > backlog {
			if err := <-remote.uploads; errors.Is(err, recording.ErrExists) {
				return err
			}
		}
	}
}

// talkative says when uploads begin and end.
type talkative struct{ heard }

func (s talkative) Upload(ctx context.Context, key string, r io.ReaderAt, size int64) error {
	fmt.Println("sending", key, 0)
	err := s.heard.Upload(ctx, key, r, size)
	fmt.Println("sent", key, 0)
	return err
}

// victimSize is how long the nth call of a process is: each fourth is sent
// in parts.
func victimSize(n int) int {
	if n%4 == 0 {
		return minPartSize + 1000 + n
	}
	return 100_000 + n
}

func victims(server, bucket string) *Storage {
	return &Storage{
		Bucket: bucket, Endpoint: server, Region: s3test.Region, PathStyle: true,
		AccessKeyID: s3test.AccessKeyID, SecretAccessKey: s3test.SecretAccessKey, PartSize: minPartSize,
	}
}

var kills = flag.Int("kills", 10, "kill a process so often while it uploads")

// A process is killed again and again while it brings recordings away. In the end
// each that it had kept is there, whole and once, and no part of another attempt
// is.
func TestKillsDuringUploads(t *testing.T) {
	rounds := *kills
	server := s3test.Start(t)
	dir, bucket := t.TempDir(), server.Bucket(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kept := make(map[string]int)
	hit := 0 // processes that were killed with something to bring away
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), victimSpool+"="+dir, victimBucket+"="+bucket, victimServer+"="+server.URL(), fmt.Sprintf("%s=%d", victimRound, round))
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := 1 + rand.N(20)
		told := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var what, key string
			var n int
			if _, err := fmt.Sscan(lines.Text(), &what, &key, &n); err != nil {
				t.Fatal(err)
			}
			if what == "kept" {
				kept[key] = victimSize(n)
			}
			if told++; told == last {
				_ = cmd.Process.Kill() // it may have ended, which is told below
			}
		}
		if err := cmd.Wait(); err == nil || told < last {
			t.Fatalf("round %d: it ended by itself: %v", round, err)
		}
		if pending(t, dir) > 0 {
			hit++
		}
	}

	s := victims(server.URL(), bucket)
	t.Cleanup(s.CloseIdleConnections)
	left := parts(t, s)
	remote := hear(s)
	spool := &recording.Spool{Local: &recording.Dir{Path: dir}, Remote: remote, MinFree: -1}
	waiting := pending(t, dir)
	if err := spool.Start(); err != nil {
		t.Fatal(err)
	}
	remote.await(t, waiting)
	if err := spool.Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d recordings in %d processes; %d of these were killed with a backlog; at the end %d recordings waited and %d uploads in parts were left", len(kept), rounds, hit, waiting, left)
	if hit < rounds/2 {
		t.Errorf("%d processes were killed with something to bring away", hit)
	}
	for key, size := range kept {
		holds(t, s, key, sound(size))
	}
	if n := parts(t, s); n != 0 {
		t.Errorf("%d uploads in parts are left", n)
	}
	// What a process had kept and not told of before it was killed may be there too.
	if n := objects(t, s); n < len(kept) || n > len(kept)+rounds {
		t.Errorf("%d objects for %d recordings", n, len(kept))
	}
	if st := spool.Stats(); st.Conflicts != 0 || pending(t, dir) != 0 {
		t.Errorf("the spool has %d files; %+v", pending(t, dir), st)
	}
}

// pending counts the files in a spool that are finished.
func pending(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(name, ".wav") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func objects(t *testing.T, s *Storage) (n int) {
	t.Helper()
	client, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &s.Bucket}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Contents)
	}
	return n
}
