//go:build unix

package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/recording/recordingtest"
)

// at returns a storage in a new bucket of the server at address.
func at(t *testing.T, address string) *Storage {
	s := &Storage{
		Bucket: s3test.Start(t).Bucket(t), Prefix: "calls", Endpoint: address, Region: s3test.Region, PathStyle: true,
		AccessKeyID: s3test.AccessKeyID, SecretAccessKey: s3test.SecretAccessKey, PartSize: minPartSize,
		Staging: t.TempDir(),
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

func newStorage(t *testing.T) *Storage { return at(t, s3test.Start(t).URL()) }

func TestStorage(t *testing.T) {
	recordingtest.TestStorage(t, func(t *testing.T) recording.Storage { return newStorage(t) })
}

func TestStorageWithASpool(t *testing.T) {
	recordingtest.TestStorage(t, func(t *testing.T) recording.Storage {
		s := &recording.Spool{
			Local:  &recording.Dir{Path: t.TempDir(), BaseURL: "https://voice.example.com/spool", SigningKey: make([]byte, 16)},
			Remote: newStorage(t), MinFree: -1,
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(context.Background()) })
		return s
	})
}

// sound is n bytes that differ.
func sound(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8 + i>>16)
	}
	return data
}

// parts counts the uploads in parts that were begun and not ended.
func parts(t *testing.T, s *Storage) int {
	t.Helper()
	client, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func holds(t *testing.T, s recording.Storage, key string, want []byte) {
	t.Helper()
	f, err := s.Open(t.Context(), key)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if got, err := io.ReadAll(f); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%s holds %d bytes, %v; want others, %d", key, len(got), err, len(want))
	}
}

func TestUploadOfEverySize(t *testing.T) {
	s := newStorage(t)
	for _, size := range []int{0, 1, minPartSize, minPartSize + 1, 2*minPartSize + 12345} {
		key := fmt.Sprintf("2026/size-%d.wav", size)
		data := sound(size)
		for range 2 { // the second finds it there
			if err := s.Upload(t.Context(), key, bytes.NewReader(data), int64(size)); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
		}
		holds(t, s, key, data)
	}
	if n := parts(t, s); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
}

func TestUploadOverwritesNothing(t *testing.T) {
	s := newStorage(t)
	if err := s.Upload(t.Context(), "a.wav", strings.NewReader("one"), 3); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"two", "longer"} {
		if err := s.Upload(t.Context(), "a.wav", strings.NewReader(other), int64(len(other))); !errors.Is(err, recording.ErrExists) {
			t.Errorf("error is %v, want ErrExists", err)
		}
	}
	holds(t, s, "a.wav", []byte("one"))
}

// begin begins an upload in parts, as a process does that is killed then.
func begin(t *testing.T, s *Storage, key string) {
	t.Helper()
	client, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.createParts(t.Context(), client, key)
	if err != nil {
		t.Fatal(err)
	}
	body := io.NewSectionReader(bytes.NewReader(sound(minPartSize)), 0, minPartSize)
	if _, err := s.sendPart(t.Context(), client, key, id, body, 1); err != nil {
		t.Fatal(err)
	}
}

func TestRestsOfEarlierAttemptsAreClearedAway(t *testing.T) {
	t.Run("by the next attempt", func(t *testing.T) {
		s := newStorage(t)
		begin(t, s, "a.wav")
		begin(t, s, "a.wav")
		begin(t, s, "a.wav.other")
		data := sound(minPartSize + 1)
		if err := s.Upload(t.Context(), "a.wav", bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "a.wav", data)
		if n := parts(t, s); n != 1 {
			t.Errorf("%d uploads are left, want that of another key", n)
		}
	})
	t.Run("by a removal", func(t *testing.T) {
		s := newStorage(t)
		begin(t, s, "a.wav")
		if err := s.Remove(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		if n := parts(t, s); n != 0 {
			t.Errorf("%d uploads are left", n)
		}
	})
}

func TestReaderSeeks(t *testing.T) {
	s := newStorage(t)
	data := sound(300_000)
	if err := s.Upload(t.Context(), "a.wav", bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(t.Context(), "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{44, 200_000, 0, 299_999, 44} {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, min(1000, int64(len(data))-at))
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, data[at:at+int64(len(got))]) {
			t.Errorf("at %d: other bytes, %v", at, err)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the start succeeds")
	}
	if _, err := f.Seek(10, io.SeekEnd); err != nil {
		t.Error(err)
	}
	if _, err := f.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read behind the end: %v", err)
	}
	f.Close()
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("read of what is closed succeeds")
	}
}

// An address serves ranges to who has no credentials, and only while it is valid.
func TestAddresses(t *testing.T) {
	s := newStorage(t)
	if err := s.Upload(t.Context(), "a.wav", strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	get := func(address string) (status int, body, kind string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", "bytes=3-5")
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), resp.Header.Get("Content-Type")
	}
	address, err := s.URL(t.Context(), "a.wav", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, body, kind := get(address); status != http.StatusPartialContent || body != "345" || kind != "audio/wav" {
		t.Errorf("%d %q %s", status, body, kind)
	}
	if strings.Contains(address, s3test.SecretAccessKey) {
		t.Error("the address holds the secret")
	}
	if status, _, _ := get(strings.Replace(address, "a.wav", "b.wav", 1)); status != http.StatusForbidden {
		t.Errorf("the address of another file gets %d", status)
	}
	if status, _, _ := get(strings.Split(address, "?")[0]); status != http.StatusForbidden {
		t.Errorf("an address without a signature gets %d", status)
	}
	brief, err := s.URL(t.Context(), "a.wav", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for status := 0; status != http.StatusForbidden; {
		status, _, _ = get(brief)
	}
	if err := s.Remove(t.Context(), "a.wav"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := get(address); status != http.StatusNotFound {
		t.Errorf("the address of what was removed gets %d", status)
	}
	s2 := newStorage(t)
	s2.PublicEndpoint = "https://files.example.com"
	if err := s2.Upload(t.Context(), "a.wav", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if address, err := s2.URL(t.Context(), "a.wav", time.Minute); !strings.HasPrefix(address, "https://files.example.com/"+s2.Bucket+"/calls/a.wav?") || err != nil {
		t.Errorf("%s, %v", address, err)
	}
}

func TestFileThatCannotBeCommittedIsKept(t *testing.T) {
	s := newStorage(t)
	f, err := s.Create(t.Context(), "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "sound")
	giveBack := s3test.Start(t).Take(t, s.Bucket)
	err = f.Commit(t.Context())
	giveBack()
	name := f.(*file).File.Name()
	if !errors.Is(err, recording.ErrUnavailable) {
		t.Errorf("error is %v, want ErrUnavailable", err)
	}
	if got := read(t, name); got != "sound" {
		t.Errorf("%s holds %q", name, got)
	}
}

func TestValidate(t *testing.T) {
	good := Storage{Bucket: "my-bucket"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(s *Storage){
		"no bucket":                 func(s *Storage) { s.Bucket = "" },
		"a bucket with a slash":     func(s *Storage) { s.Bucket = "a/b" },
		"a name with spaces":        func(s *Storage) { s.StorageName = "My S3" },
		"a prefix that climbs":      func(s *Storage) { s.Prefix = "a/../b" },
		"a prefix with a slash":     func(s *Storage) { s.Prefix = "a/" },
		"an endpoint without http":  func(s *Storage) { s.Endpoint = "s3.example.com" },
		"an endpoint with a secret": func(s *Storage) { s.PublicEndpoint = "https://a:b@s3.example.com" },
		"a key without a secret":    func(s *Storage) { s.AccessKeyID = "A" },
		"a session without a key":   func(s *Storage) { s.SessionToken = "A" },
		"an unknown encryption":     func(s *Storage) { s.Encryption = "rot13" },
		"a key for nothing":         func(s *Storage) { s.KMSKeyID = "A" },
		"parts that are too small":  func(s *Storage) { s.PartSize = 1 << 20 },
		"a negative timeout":        func(s *Storage) { s.Timeout = -1 },
	} {
		s := Storage{Bucket: "my-bucket"}
		change(&s)
		if err := s.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := s.Open(t.Context(), "a.wav"); err == nil || fromSDK(err) {
			t.Errorf("%s: open: %v", name, err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
