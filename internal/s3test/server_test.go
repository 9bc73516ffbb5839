//go:build unix

package s3test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// status asks the server for a path, without credentials.
func status(t *testing.T, s *Server, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestServerKeepsItsBucketsThroughAKill(t *testing.T) {
	s := Start(t)
	one, two := s.Bucket(t), s.Bucket(t)
	if one == two {
		t.Error("two buckets have one name")
	}
	if got := status(t, s, "/"+one); got != http.StatusForbidden {
		t.Errorf("a stranger gets %d", got)
	}
	s.Kill(t)
	if got := status(t, s, "/"+one); got != 0 {
		t.Errorf("a server that was killed answers %d", got)
	}
	s.Restart(t)
	if got := status(t, s, "/"+one); got != http.StatusForbidden {
		t.Errorf("after the restart a stranger gets %d", got)
	}
	giveBack := s.Take(t, one)
	if _, err := os.Stat(filepath.Join(s.buckets(), one)); err == nil {
		t.Error("the bucket is still there")
	}
	giveBack()
}

func TestStartTellsWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	if _, err := find(); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Error(err)
	}
}
